//! The numbers of stored tensors.

use std::io;

use half::{bf16, f16};
use memscope_text::excerpt;
use rayon::prelude::*;
use safetensors::Dtype;

use crate::{
    bytes::{Bytes, PIECE},
    checkpoint::View,
    error::{Error, Result},
    tensor_file::Stored,
};

/// All numbers of a tensor in f32, as they are stored; `file` and `tensor` name it in messages.
///
/// # Errors
///
/// Where they cannot be read, are of a format that is not supported, or are not finite.
pub(crate) fn read_tensor(file: &str, tensor: &str, bytes: &Bytes, stored: &Stored) -> Result<Vec<f32>> {
    read_view(file, tensor, bytes, stored, View::Whole)
}

pub(crate) fn read_view(file: &str, tensor: &str, bytes: &Bytes, stored: &Stored, view: View) -> Result<Vec<f32>> {
    let convert = converter(stored.dtype).ok_or_else(|| Error::TensorDtype {
        file: file.to_owned(),
        tensor: excerpt(tensor),
        dtype: format!("{:?}", stored.dtype),
    })?;
    let (first, count) = view.range(&stored.shape);
    let read = |range| {
        let numbers = read_numbers(bytes, stored, range, convert);
        let numbers = numbers.map_err(|source| Error::Read { path: file.into(), source })?;
        numbers.ok_or_else(|| Error::NonFiniteWeights { file: file.to_owned(), tensor: excerpt(tensor) })
    };
    let numbers = match &stored.strides {
        None => read((first, count))?,
        Some(strides) => {
            let span = stored.shape.iter().zip(strides).map(|(size, stride)| (size - 1) * stride).sum::<usize>() + 1;
            row_major(&read((0, span))?, &stored.shape, strides).skip(first).take(count).collect()
        }
    };
    Ok(view.arrange(numbers, &stored.shape))
}

/// The numbers of a tensor in row-major order; `numbers` are those from its first to its last in the file.
fn row_major<'a>(numbers: &'a [f32], shape: &'a [usize], strides: &'a [usize]) -> impl Iterator<Item = f32> + 'a {
    let count: usize = shape.iter().product();
    (0..count).map(move |mut index| {
        let mut at = 0;
        for (size, stride) in shape.iter().zip(strides).rev() {
            at += index % size * stride;
            index /= size;
        }
        numbers[at]
    })
}

/// Numbers of a tensor in f32 from the first on, `None` where one of them is NaN or infinite. All cores read: the time
/// goes into new pages of memory.
fn read_numbers(
    bytes: &Bytes,
    stored: &Stored,
    (first, count): (usize, usize),
    convert: Convert,
) -> io::Result<Option<Vec<f32>>> {
    let width = stored.dtype.bitsize() / 8;
    let begin = stored.start + (first * width) as u64;
    let mut data = vec![0.0; count];
    let pieces = data.par_chunks_mut(PIECE / width).enumerate();
    let is_finite = pieces.map_init(
        || bytes.reader(),
        |reader, (i, to)| {
            let reader = reader.as_mut().map_err(|e| io::Error::new(e.kind(), e.to_string()))?;
            let start = begin + (i * PIECE) as u64;
            convert(to, reader.read(start..start + (to.len() * width) as u64)?);
            // A sum is finite only if every element is (overflow cannot happen with f64 partial sums of f32).
            Ok::<_, io::Error>(to.iter().map(|x| f64::from(*x)).sum::<f64>().is_finite())
        },
    );
    let is_finite = is_finite.try_reduce(|| true, |a, b| Ok(a && b))?;
    Ok(is_finite.then_some(data))
}

/// Turns stored numbers into f32.
type Convert = fn(&mut [f32], &[u8]);

fn converter(dtype: Dtype) -> Option<Convert> {
    let convert: Convert = match dtype {
        Dtype::F64 => |to, raw| each(to, raw, |b| f64::from_le_bytes(b) as f32),
        Dtype::F32 => |to, raw| each(to, raw, f32::from_le_bytes),
        Dtype::F16 => |to, raw| each(to, raw, |b| f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => |to, raw| each(to, raw, |b| bf16::from_le_bytes(b).to_f32()),
        _ => return None,
    };
    Some(convert)
}

fn each<const N: usize>(to: &mut [f32], raw: &[u8], f: impl Fn([u8; N]) -> f32) {
    to.iter_mut().zip(raw.as_chunks().0).for_each(|(to, b)| *to = f(*b));
}
