//! The byte alphabet of byte-level BPE: every byte is written as one printable character.

use std::collections::HashMap;

/// Bytes that stand for themselves; the others take the characters from U+0100 on, in order.
const PRINTABLE: [std::ops::RangeInclusive<u8>; 3] = [b'!'..=b'~', 0xa1..=0xac, 0xae..=0xff];

/// Both directions of the alphabet.
pub(super) struct ByteAlphabet {
    encode: [char; 256],
    decode: HashMap<char, u8>,
}

impl ByteAlphabet {
    pub(super) fn new() -> Self {
        let mut encode = ['\0'; 256];
        let mut spare = '\u{100}'..;
        for byte in u8::MIN..=u8::MAX {
            let printable = PRINTABLE.iter().any(|range| range.contains(&byte));
            encode[usize::from(byte)] = if printable {
                char::from(byte)
            } else {
                // 68 of the more than 65,000 characters from U+0100 on are ever taken.
                spare.next().unwrap_or(char::REPLACEMENT_CHARACTER)
            };
        }
        let decode = (u8::MIN..=u8::MAX).map(|byte| (encode[usize::from(byte)], byte)).collect();
        Self { encode, decode }
    }

    /// The characters, in the order of the vocabulary: first those that stand for themselves.
    pub(super) fn characters(&self) -> Vec<String> {
        let is_printable = |byte: &u8| PRINTABLE.iter().any(|range| range.contains(byte));
        let bytes = u8::MIN..=u8::MAX;
        let (printable, others): (Vec<u8>, Vec<u8>) = bytes.partition(is_printable);
        printable.into_iter().chain(others).map(|byte| self.encode[usize::from(byte)].to_string()).collect()
    }

    /// The UTF-8 bytes of `text`, one character each.
    pub(super) fn encode(&self, text: &str) -> String {
        text.bytes().map(|b| self.encode[usize::from(b)]).collect()
    }

    /// The text that `encoded` stands for. A token may end inside a character; such bytes become U+FFFD. Characters
    /// outside the alphabet, which only special tokens can have, stand for themselves.
    pub(super) fn decode(&self, encoded: &str) -> String {
        let mut bytes = Vec::with_capacity(encoded.len());
        for c in encoded.chars() {
            match self.decode.get(&c) {
                Some(&byte) => bytes.push(byte),
                None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::ByteAlphabet;

    #[test]
    fn alphabet() {
        let alphabet = ByteAlphabet::new();
        assert_eq!(alphabet.encode("a é\n"), "aĠÃ©Ċ");
        assert_eq!(alphabet.decode("aĠÃ©Ċ"), "a é\n");
        assert_eq!(alphabet.decode("Ã"), "\u{fffd}");
        assert_eq!(alphabet.decode("a b"), "a b");
        assert_eq!(alphabet.decode.len(), 256);
        assert_eq!(alphabet.encode[0xad], '\u{143}');
    }
}
