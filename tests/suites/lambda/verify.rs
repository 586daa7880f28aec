//! The function `verify`, on backups that the function `backup` wrote and signed. Keys come out of secrets.

use anyhow::Context as _;
use pgark::signature::SigningKey;
use pgark_tests::{Ministack, Rie, repository};
use serde_json::{Value, json};

use super::world::{self, World};
use super::{Result, shop};

fn event(name: &str) -> anyhow::Result<Value> {
    let file = repository().join("events/verify").join(format!("{name}.json"));
    Ok(serde_json::from_str(&std::fs::read_to_string(file)?)?)
}

fn assert_no_key_in_log(world: &World, function: &Rie) -> Result {
    let log = function.log();
    let signing = world.key("signing.key")?;
    for secret in ["AGE-SECRET-KEY-", signing.lines().last().context("an empty key file")?] {
        assert!(!log.contains(secret), "the log shows {secret}: {log}");
    }
    Ok(())
}

#[test]
fn signed_backups_are_good_until_somebody_changes_them() -> Result {
    let (world, shop, aws) = (World::new()?, shop()?, Ministack::shared()?);
    let secrets = ("AWS_ENDPOINT_URL_SECRETS_MANAGER", aws.endpoint().to_owned());
    let backup = world.function([
        ("PGARK_DATABASE_URL", shop.url()),
        ("PGARK_SIGNING_KEY_SECRET", aws.create_secret("signing", &world.key("signing.key")?)?),
        secrets.clone(),
    ])?;
    for _ in 0..2 {
        let answer = backup.invoke(&json!({}))?;
        assert!(answer["signed_by"].is_string(), "{answer}\n{}", backup.log());
    }
    assert_no_key_in_log(&world, &backup)?;

    let identity = aws.create_secret("identity", &world.key("identity.txt")?)?;
    let verification = ("PGARK_VERIFICATION_KEY", world.verification_key()?);
    let verify =
        world.start("verify", [("PGARK_IDENTITY_SECRET", identity), secrets, verification.clone()])?;
    for (name, backups, level) in [
        ("default", 1, "content"),
        ("all", 2, "content"),
        ("all-sampled", 2, "content"),
        ("eventbridge-detail", 2, "content"),
        ("stored", 1, "stored"),
    ] {
        let answer = verify.invoke(&event(name)?)?;
        assert_eq!(answer["good"], true, "{name}: {answer}\n{}", verify.log());
        let report = &answer["reports"][0];
        assert_eq!(report["backups"].as_array().map(Vec::len), Some(backups), "{name}: {answer}");
        assert_eq!(
            (&report["backups"][0]["level"], &report["signature"]),
            (&json!(level), &json!("verified"))
        );
        let key = report["kept_as"].as_str().with_context(|| format!("{name}: no report is kept"))?;
        let kept: Value = serde_json::from_slice(&world.get(&format!("backups/{key}"))?)?;
        assert_eq!(&kept, report, "{name}");
    }

    let keys = world.keys()?;
    let customers =
        keys.iter().rfind(|key| key.contains("/data/sales.customers.dat")).context("no such table")?;
    world.replace(customers, b"something else")?;
    let answer = verify.invoke(&event("all")?)?;
    assert_eq!(answer["errorType"], "verify.findings", "{answer}\n{}", verify.log());
    let message = answer["errorMessage"].as_str().unwrap_or_default();
    for part in [
        "1 found damaged, 0 not checked",
        "data/sales.customers.dat",
        "table sales.customers",
        "object.damaged",
        "reports/shop/verify/",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(world::last_error(&verify)?["message"], message);
    assert_no_key_in_log(&world, &verify)?;

    // Without the identity it still finds it, and with another key it finds that nothing is signed by that one.
    let other = SigningKey::generate()?.public().to_string();
    let without_identity = world.start("verify", [verification])?;
    assert_eq!(without_identity.invoke(&event("all")?)?["errorType"], "verify.findings");
    let distrusting = world.start("verify", [("PGARK_VERIFICATION_KEY", other)])?;
    let answer = distrusting.invoke(&event("all")?)?;
    assert!(answer["errorMessage"].as_str().unwrap_or_default().contains("signature.invalid"), "{answer}");
    Ok(())
}

#[test]
fn what_cannot_be_verified_is_an_error_of_its_own() -> Result {
    let world = World::new()?;
    let function = world.start("verify", [("PGARK_VERIFICATION_KEY", "RWnonsense".to_owned())])?;
    let answer = function.invoke(&event("default")?)?;
    assert_eq!(answer["errorType"], "signature.key", "found in the init phase: {answer}\n{}", function.log());
    let function = world.start("verify", [])?;
    assert_eq!(function.invoke(&event("all")?)?["errorType"], "backup.missing", "nothing is no success");
    assert_eq!(function.invoke(&json!({ "levle": "stored" }))?["errorType"], "usage.invalid");
    assert_eq!(world.keys()?, [""; 0]);
    Ok(())
}
