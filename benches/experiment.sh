# Sourced by the other scripts: `experiment NETWORK DATA EPOCHS RUNS FILE` writes the experiment that benches/peers trains with PyTorch,
# and `$harness` is the program (HARNESS, or a release build of this tree).
harness=${HARNESS:-}
if [ -z "$harness" ]; then
    cargo build --release --quiet
    harness=$PWD/target/release/harness
fi

experiment() {
    case $1 in
        mlp) model='{ kind = "mlp", widths = [512, 512] }' ;;
        cnn) model='{ kind = "cnn", channels = [32, 64], kernel = 3, pool = 2, batch_norm = false, head = [] }' ;;
        resnet20) model='{ kind = "resnet", depth = 20, width = 16 }' ;;
        *) echo "no such network: $1" >&2 && return 2 ;;
    esac
    cat >"$5" <<END
name = "$1"
data = { dataset = "cifar10", path = "$2" }
model = $model
record = { checkpoints = { every = 1 } }
[train]
epochs = $3
batch_size = 128
optimizer = { kind = "sgd", momentum = 0.9, nesterov = true, weight_decay = 5e-4 }
schedule = { kind = "constant", rate = 0.01 }
[sweep]
runs = $4
END
}
