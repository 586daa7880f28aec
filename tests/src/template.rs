//! A template as data: YAML with CloudFormation's short forms (`!Ref x`) turned into the long ones (`{"Ref": "x"}`).

use anyhow::{Context as _, Result, bail};
use saphyr::{LoadableYamlNode as _, Scalar, Tag, Yaml};
use serde_json::{Map, Value, json};

use crate::places::repository;

/// A template of the repository.
#[derive(Debug)]
pub struct Template(Value);

/// A resource, by its logical id.
#[derive(Debug)]
pub struct Resource<'a> {
    /// The logical id.
    pub id: &'a str,
    /// Its `Type`.
    pub kind: &'a str,
    /// All that the template says of it.
    pub whole: &'a Value,
}

impl Resource<'_> {
    /// Its `Properties`.
    pub fn properties(&self) -> &Value {
        &self.whole["Properties"]
    }
}

impl Template {
    /// That of the functions.
    pub fn application() -> Result<Self> {
        Self::read("template.yaml")
    }

    /// That of the bucket.
    pub fn storage() -> Result<Self> {
        Self::read("infra/storage.yaml")
    }

    /// By its path in the repository.
    pub fn read(path: &str) -> Result<Self> {
        let text = std::fs::read_to_string(repository().join(path)).with_context(|| path.to_owned())?;
        let documents = Yaml::load_from_str(&text).with_context(|| path.to_owned())?;
        let [document] = &documents[..] else { bail!("{path} is not one document") };
        Ok(Self(long(document)?))
    }

    /// `Parameters`, `Globals`, `Resources` and so on; null if there is none.
    pub fn section(&self, name: &str) -> &Value {
        &self.0[name]
    }

    /// All resources.
    pub fn resources(&self) -> impl Iterator<Item = Resource<'_>> {
        let resources = self.0["Resources"].as_object().into_iter().flatten();
        resources.map(|(id, whole)| Resource { id, kind: whole["Type"].as_str().unwrap_or_default(), whole })
    }

    /// The resources of a type.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = Resource<'a>> {
        self.resources().filter(move |resource| resource.kind == kind)
    }

    /// The resource of a logical id.
    pub fn resource(&self, id: &str) -> Result<Resource<'_>> {
        self.resources()
            .find(|resource| resource.id == id)
            .with_context(|| format!("there is no resource {id}"))
    }

    /// The default of a parameter, as text.
    pub fn default(&self, parameter: &str) -> Result<String> {
        match &self.0["Parameters"][parameter]["Default"] {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            other => bail!("{parameter} has no default but {other}"),
        }
    }
}

fn long(yaml: &Yaml<'_>) -> Result<Value> {
    Ok(match yaml {
        Yaml::Value(scalar) => of_scalar(scalar),
        Yaml::Sequence(items) => Value::Array(items.iter().map(long).collect::<Result<_>>()?),
        Yaml::Mapping(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let key = key.as_str().context("a key that is no text")?;
                if map.insert(key.to_owned(), long(value)?).is_some() {
                    bail!("{key} stands there twice");
                }
            }
            Value::Object(map)
        }
        Yaml::Tagged(tag, inner) => of_tag(tag, long(inner)?)?,
        other => bail!("not understood: {other:?}"),
    })
}

fn of_scalar(scalar: &Scalar<'_>) -> Value {
    match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(flag) => json!(flag),
        Scalar::Integer(number) => json!(number),
        Scalar::FloatingPoint(number) => json!(number.into_inner()),
        Scalar::String(text) => json!(text),
    }
}

/// "Intrinsic function reference", `CloudFormation` User Guide.
fn of_tag(tag: &Tag, inner: Value) -> Result<Value> {
    if tag.handle != "!" {
        bail!("not a tag of CloudFormation: {tag:?}");
    }
    Ok(match (tag.suffix.as_str(), inner) {
        (name @ ("Ref" | "Condition"), inner) => json!({ name: inner }),
        ("GetAtt", Value::String(path)) => {
            let (id, attribute) = path.split_once('.').with_context(|| path.clone())?;
            json!({ "Fn::GetAtt": [id, attribute] })
        }
        (name, inner) => json!({ format!("Fn::{name}"): inner }),
    })
}

/// The texts of a value, at any depth.
pub fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(map) => map.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// One text or a list of them, as policies have it.
pub fn list(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
