//! That what one key signed is good under it alone, and only unchanged. Stock minisign is asked in tests/suites/damage.

use super::*;

fn keys(keys: &[&SigningKey]) -> VerificationKeys {
    let list: Vec<String> = keys.iter().map(|key| key.public().to_string()).collect();
    VerificationKeys::read(&list.join(", ")).unwrap()
}

#[test]
fn one_of_the_keys_must_have_signed_exactly_these_bytes() {
    let [ours, other] = [(); 2].map(|()| SigningKey::generate().unwrap());
    let signature = ours.sign(b"manifest", "timestamp:1").unwrap();
    keys(&[&ours]).verify(b"manifest", &signature).unwrap();
    keys(&[&other, &ours]).verify(b"manifest", &signature).unwrap();
    for (keys, bytes, part) in [
        (keys(&[&ours]), "manifes", "is not what was signed"),
        (keys(&[&ours]), "", "is not what was signed"),
        (keys(&[&other]), "manifest", &*ours.public().id()),
    ] {
        let error = keys.verify(bytes.as_bytes(), &signature).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SignatureInvalid);
        assert!(error.message().contains(part), "{error}");
    }
}

/// Nothing may be changed but the comment that says itself that it is not to be trusted.
#[test]
fn every_changed_byte_of_a_signature_is_noticed() {
    let key = SigningKey::generate().unwrap();
    let signature = key.sign(b"manifest", "timestamp:1\tfile:daily/app/x/manifest.json\thashed").unwrap();
    let untrusted = "untrusted comment: ".len()..signature.iter().position(|byte| *byte == b'\n').unwrap();
    for at in (0..signature.len()).filter(|at| !untrusted.contains(at)) {
        for bit in [1, 0x10, 0x80] {
            let mut changed = signature.clone();
            changed[at] ^= bit;
            let error = keys(&[&key]).verify(b"manifest", &changed).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SignatureInvalid, "byte {at}");
        }
    }
    for cut in 0..signature.len() {
        assert!(keys(&[&key]).verify(b"manifest", &signature[..cut]).is_err(), "cut to {cut}");
    }
    for longer in [&signature[..], b"\n", b"x"] {
        let longer = [&signature, longer].concat();
        assert!(keys(&[&key]).verify(b"manifest", &longer).is_err());
    }
}

#[test]
fn key_files_are_private_read_back_and_are_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signing.key");
    let key = SigningKey::generate().unwrap();
    let public = key.write_files(&path).unwrap();
    assert_eq!(SigningKey::read(&path).unwrap().public(), key.public());
    let keys = VerificationKeys::read(&public.display().to_string()).unwrap();
    assert!(keys.contains(key.public()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let other = SigningKey::generate().unwrap();
    assert_eq!(other.write_files(&path).unwrap_err().kind(), ErrorKind::KeyFileExists);
    std::fs::remove_file(&public).unwrap();
    assert_eq!(other.write_files(&path).unwrap_err().kind(), ErrorKind::KeyFileExists);
    assert!(!public.exists(), "a public key without its secret one");
    assert_eq!(SigningKey::read(&path).unwrap().public(), key.public());
}

#[test]
fn what_is_no_key_is_refused_and_a_secret_key_never_shown() {
    let key = SigningKey::generate().unwrap();
    let text = String::from(key.secret.to_box(None).unwrap());
    let secret = text.lines().nth(1).unwrap();
    assert!(
        !format!("{key:?}").contains(&secret[60..]) && format!("{key:?}").contains(&key.public().to_string())
    );
    let broken = format!("comment\n{}A{}", &secret[..100], &secret[101..]);
    for wrong in ["", "one line", secret, &broken, &format!("a\n{}\n", key.public())] {
        let error = SigningKey::parse(&Secret::new(wrong)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SignatureKey, "{wrong}");
        assert!(!format!("{error:?}").contains(&secret[60..90]));
    }
    assert!(
        SigningKey::parse(&Secret::new(format!("  {}\r\n {secret} \n\n", "untrusted comment: x"))).is_ok()
    );
    for wrong in ["", " , ", "RWshort", "/no/such/file", secret] {
        let error = VerificationKeys::read(wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SignatureKey, "{wrong}");
        assert!(!format!("{error:?}").contains(&secret[60..90]));
    }
}
