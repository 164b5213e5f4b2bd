//! A fully connected layer and its gradients: three matrix products, by the crate that Burn multiplies with too.

use gemm::Parallelism;

/// Multiplications below which a product is not worth waking other threads for.
const PARALLEL: usize = 192 * 192 * 192;

/// Rows of `x` and numbers of inputs and outputs; weights are `[inputs, outputs]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dense {
    pub rows: usize,
    pub inputs: usize,
    pub outputs: usize,
}

/// A matrix over a slice, row by row or (transposed) column by column.
#[derive(Debug, Clone, Copy)]
struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    transposed: bool,
}

impl<'a> Matrix<'a> {
    fn new(values: &'a [f32], [rows, columns]: [usize; 2]) -> Self {
        assert_eq!(values.len(), rows * columns, "a matrix has as many values as rows times columns");
        Self { values, rows, columns, transposed: false }
    }

    fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, transposed: !self.transposed, ..self }
    }

    /// Distance of neighbours in a row and in a column.
    fn strides(&self) -> [isize; 2] {
        if self.transposed { [self.rows.cast_signed(), 1] } else { [1, self.columns.cast_signed()] }
    }

    /// `out = self · other`, added to what `out` holds where `add` says so. The same bits for any number of threads: they
    /// share out the elements of `out`, never the sum of one.
    #[allow(unsafe_code)]
    fn times(self, other: Matrix, add: bool, out: &mut [f32]) {
        assert_eq!(self.columns, other.rows, "the inner sizes of a product must be the same");
        assert_eq!(out.len(), self.rows * other.columns, "a product has as many rows as its first factor");
        let alone =
            rayon::current_num_threads() == 1 || self.rows * self.columns.max(1) * other.columns.max(1) < PARALLEL;
        let parallelism = if alone { Parallelism::None } else { Parallelism::Rayon(0) };
        let ([own_column, own_row], [other_column, other_row]) = (self.strides(), other.strides());
        // SAFETY: the sizes have just been compared with the lengths of the slices that the pointers are from, and `out` is
        // borrowed by nobody else.
        unsafe {
            gemm::gemm(
                self.rows,
                other.columns,
                self.columns,
                out.as_mut_ptr(),
                1,
                other.columns.cast_signed(),
                add,
                self.values.as_ptr(),
                own_column,
                own_row,
                other.values.as_ptr(),
                other_column,
                other_row,
                1.0,
                1.0,
                false,
                false,
                false,
                parallelism,
            );
        }
    }
}

impl Dense {
    /// `out = x · weight + bias`, `[rows, outputs]`.
    pub fn forward(&self, x: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32]) {
        for row in out.chunks_exact_mut(self.outputs.max(1)) {
            row.copy_from_slice(bias);
        }
        let weight = Matrix::new(weight, [self.inputs, self.outputs]);
        Matrix::new(x, [self.rows, self.inputs]).times(weight, true, out);
    }

    /// The gradient with respect to `x`, `[rows, inputs]`.
    pub fn input_gradient(&self, grad: &[f32], weight: &[f32], out: &mut [f32]) {
        let weight = Matrix::new(weight, [self.inputs, self.outputs]);
        Matrix::new(grad, [self.rows, self.outputs]).times(weight.transposed(), false, out);
    }

    /// The gradient with respect to the weights, in their layout.
    pub fn weight_gradient(&self, x: &[f32], grad: &[f32], out: &mut [f32]) {
        let grad = Matrix::new(grad, [self.rows, self.outputs]);
        Matrix::new(x, [self.rows, self.inputs]).transposed().times(grad, false, out);
    }

    /// The gradient with respect to the bias.
    pub fn bias_gradient(&self, grad: &[f32]) -> Vec<f32> {
        let mut sums = vec![0.0f32; self.outputs];
        for row in grad.chunks_exact(self.outputs.max(1)) {
            for (sum, grad) in sums.iter_mut().zip(row) {
                *sum += grad;
            }
        }
        sums
    }
}
