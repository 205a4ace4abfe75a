//! The arrows of Figure 3.

use std::num::NonZeroUsize;

use memscope_metric::theory::field::{Drawing, FieldError, Fields, Projection, quiver};

use super::{assert_close, fixture, numbers};

fn every(stride: usize) -> NonZeroUsize {
    NonZeroUsize::new(stride).unwrap()
}

#[test]
fn numpy_agrees_on_arrows() {
    let fixture = fixture();
    let case = &fixture["fields"][0];
    let (u, q, cosines) = (numbers(&case["u"]), numbers(&case["q"]), numbers(&case["cosines"]));
    let fields = Fields { unconditional: &u, difference: &q, channels: 4, height: 5, width: 6 };
    let drawing = Drawing { projection: Projection::PrincipalComponents, stride: every(2), threshold: 0.5 };
    let found = quiver(fields, &cosines, drawing).unwrap();
    let places: Vec<_> = found.arrows.iter().map(|a| (a.position.row, a.position.column)).collect();
    assert_eq!(places, [(0, 0), (0, 2), (0, 4), (2, 0), (2, 2), (2, 4), (4, 0), (4, 2), (4, 4)]);
    for (k, arrow) in found.arrows.iter().enumerate() {
        for (ours, theirs) in [(arrow.unconditional, "u_arrows"), (arrow.difference, "q_arrows")] {
            let theirs = numbers(&case[theirs][k]);
            assert!((ours[0] - theirs[0]).abs() < 1e-10 && (ours[1] - theirs[1]).abs() < 1e-10, "{ours:?} {theirs:?}");
        }
    }
    assert_eq!(found.rings.len(), cosines.iter().filter(|c| **c > 0.5).count());
    assert!(!found.rings.is_empty() && found.rings.iter().all(|p| cosines[p.row * 6 + p.column] > 0.5));
    assert_close(found.mean_cosine, cosines.iter().sum::<f64>() / 30.0, 1e-12);
}

#[test]
fn the_first_two_channels_point_as_they_are() {
    let (u, q) = ([3.0, 0.0, 4.0, 0.0, 9.0, 9.0], [0.0, -2.0, 0.0, 0.0, 1.0, 1.0]);
    let fields = Fields { unconditional: &u, difference: &q, channels: 3, height: 1, width: 2 };
    let drawing = Drawing { projection: Projection::FirstTwoChannels, stride: every(1), threshold: 0.9 };
    let found = quiver(fields, &[0.95, 0.9], drawing).unwrap();
    let directions: Vec<_> = found.arrows.iter().map(|a| (a.unconditional, a.difference)).collect();
    assert_eq!(directions, [([0.6, 0.8], [0.0, 0.0]), ([0.0, 0.0], [-1.0, 0.0])]);
    assert_eq!(found.rings.iter().map(|p| (p.row, p.column)).collect::<Vec<_>>(), [(0, 0)]);

    let short = Fields { difference: &q[1..], ..fields };
    let error = FieldError::Length { what: "q", length: 5, expected: 6 };
    assert_eq!(quiver(short, &[0.0, 0.0], drawing), Err(error));
    assert_eq!(quiver(fields, &[0.0, f64::NAN], drawing), Err(FieldError::NotFinite { what: "the cosine map" }));
    let flat = Fields { channels: 1, ..fields };
    assert_eq!(quiver(flat, &[], drawing), Err(FieldError::Shape { channels: 1, height: 1, width: 2 }));
}
