//! Resizing and cropping against Pillow and torchvision, to the bit.

mod common;

use common::{fixture, numbers};
use memscope_judges::{Filter, Fit, NamedPreprocessing, Picture, Preprocessing};

/// The picture that `scripts/fixtures/judges/pictures.py` makes.
fn picture(width: usize, height: usize) -> Picture {
    let value = |i: usize| {
        let (x, y, c) = (i / 3 % width, i / 3 / width, i % 3);
        ((x * x * 7 + y * x * 13 + y * y * 3 + c * 101 + x * c * 29) % 256) as u8
    };
    Picture::from_rgb(width, height, (0..width * height * 3).map(value).collect()).unwrap()
}

#[test]
fn resizing_is_pillows() {
    use Filter::{Bicubic, Bilinear};
    let cases = [
        ("shrink", 301, 199, Fit::Exact, 24, Bilinear),
        ("shrink_cubic", 301, 199, Fit::Exact, 24, Bicubic),
        ("grow", 5, 7, Fit::Exact, 21, Bilinear),
        ("grow_cubic", 7, 5, Fit::Exact, 21, Bicubic),
        ("same", 24, 24, Fit::Exact, 24, Bicubic),
        ("one_axis", 24, 61, Fit::Exact, 24, Bilinear),
        ("crop_wide", 211, 97, Fit::CropFrom(32), 24, Bilinear),
        ("crop_tall", 97, 211, Fit::CropFrom(25), 24, Bicubic),
        ("crop_odd", 100, 37, Fit::CropFrom(24), 24, Bicubic),
        ("thin", 2, 900, Fit::CropFrom(24), 24, Bilinear),
        ("very_tall", 3, 400, Fit::Exact, 24, Bilinear),
        ("dot", 1, 1, Fit::Exact, 9, Bicubic),
    ];
    for (name, width, height, fit, size, filter) in cases {
        let preprocessing = Preprocessing { size, fit, filter, mean: [0.0; 3], std: [1.0; 3] };
        let planes = preprocessing.apply(&picture(width, height));
        // From (3, size, size), 0 to 1, to (size, size, 3), 0 to 255.
        let value = |i: usize| f64::from((planes[i % 3 * size * size + i / 3] * 255.0).round());
        let pixels: Vec<f64> = (0..planes.len()).map(value).collect();
        assert!(pixels == numbers(&fixture("pictures"), name), "{name}");
    }
}

#[test]
fn named_preprocessings_are_torchvisions() {
    let named = NamedPreprocessing::ALL.map(|named| (named.name(), named.preprocessing()));
    for (name, preprocessing) in named.into_iter().chain([("clip", Preprocessing::clip(224))]) {
        let input = preprocessing.apply(&picture(341, 278));
        assert_eq!(input.len(), 3 * preprocessing.size.pow(2));
        let got: Vec<f64> = input.iter().step_by(997).map(|x| f64::from(*x)).collect();
        assert_eq!(got, numbers(&fixture("pictures"), name), "{name}");
    }
}

#[test]
fn names_are_read_back() {
    for named in NamedPreprocessing::ALL {
        assert_eq!(named.name().parse(), Ok(named));
    }
    let error = "membench".parse::<NamedPreprocessing>().unwrap_err();
    assert!(error.contains("membench288, wen224, mixup320"), "{error}");
}

#[test]
fn a_very_long_picture_costs_what_its_middle_costs() {
    let long = Picture::from_rgb(200_000, 1, vec![128; 600_000]).unwrap();
    let input = NamedPreprocessing::Wen224.preprocessing().apply(&long);
    assert!(input.iter().all(|x| (x - (128.0 / 255.0 - 0.5) / 0.5).abs() < 1e-6));
}

#[test]
fn pictures_without_pixels_are_refused() {
    for (width, height, bytes) in [(0, 4, 0), (4, 4, 47), (usize::MAX, 2, 0), (1 << 20, 1 << 20, 0)] {
        assert!(Picture::from_rgb(width, height, vec![0; bytes]).is_err(), "{width} × {height}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    std::fs::write(&path, b"not a picture").unwrap();
    assert!(Picture::open(&path).unwrap_err().to_string().contains("a.png"));
}
