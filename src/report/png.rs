//! Small images as PNG in a data address, so that a figure with photographs is one file.

use std::io::Write;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

use crate::error::{Error, Result};

/// An image of rows `[height, width, channels]` of bytes, 1 channel (grey) or 3 (red, green, blue), as
/// `data:image/png;base64,…`.
///
/// # Errors
/// `Unexpected` if the bytes are not of that size.
pub fn data_address(width: usize, height: usize, channels: usize, bytes: &[u8]) -> Result<String> {
    let refused = |cause: String| Error::Unexpected(format!("cannot write an image of {width}x{height}: {cause}"));
    let line = width * channels;
    let side = |side: usize| u32::try_from(side).ok().filter(|&side| side > 0);
    let (Some(w), Some(h), true) = (side(width), side(height), matches!(channels, 1 | 3)) else {
        return Err(refused(format!("it has {channels} channels")));
    };
    if bytes.len() != line * height {
        return Err(refused(format!("it has {} bytes", bytes.len())));
    }
    // Every line begins with the number of its filter: none.
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    for row in bytes.chunks_exact(line) {
        encoder.write_all(&[0]).and_then(|()| encoder.write_all(row)).map_err(|cause| refused(cause.to_string()))?;
    }
    let data = encoder.finish().map_err(|cause| refused(cause.to_string()))?;
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let colour = if channels == 3 { 2 } else { 0 };
    let header = [&w.to_be_bytes()[..], &h.to_be_bytes(), &[8, colour, 0, 0, 0]].concat();
    chunk(&mut png, *b"IHDR", &header);
    chunk(&mut png, *b"IDAT", &data);
    chunk(&mut png, *b"IEND", &[]);
    Ok(format!("data:image/png;base64,{}", base64(&png)))
}

fn chunk(png: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    let mut checksum = Crc::new();
    checksum.update(&kind);
    checksum.update(data);
    png.extend((data.len() as u32).to_be_bytes());
    png.extend(kind);
    png.extend(data);
    png.extend(checksum.sum().to_be_bytes());
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for part in bytes.chunks(3) {
        let word = part.iter().enumerate().fold(0_u32, |word, (at, &byte)| word | u32::from(byte) << (16 - 8 * at));
        for place in 0..4 {
            let letter = LETTERS[(word >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= part.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn base64_of_the_rfc() {
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        for (bytes, text) in cases {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn pixels_come_back() {
        let mut png = Vec::new();
        chunk(&mut png, *b"IEND", &[]);
        // The last chunk of every PNG file.
        assert_eq!(png, [0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xAE, 0x42, 0x60, 0x82]);
        let bytes: Vec<u8> = (0..2 * 3 * 3).collect();
        let address = data_address(3, 2, 3, &bytes).unwrap();
        assert!(address.starts_with("data:image/png;base64,iVBORw0KGgo"));
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&[&[0], &bytes[..9], &[0], &bytes[9..]].concat()).unwrap();
        let mut back = Vec::new();
        flate2::read::ZlibDecoder::new(&encoder.finish().unwrap()[..]).read_to_end(&mut back).unwrap();
        assert_eq!(back[1..10], bytes[..9]);
        assert!(data_address(3, 2, 3, &bytes[1..]).is_err() && data_address(3, 3, 2, &bytes).is_err());
        assert!(data_address(0, 2, 1, &[]).is_err());
    }
}
