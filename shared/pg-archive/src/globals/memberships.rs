//! Who is a member of which role, and how (`dumpRoleMembership`).

use std::collections::BTreeSet;

use crate::Result;
use crate::quote::identifier;
use crate::session::{Row, Session};

/// The OID of the role that initdb makes, which may always be named as a grantor (`BOOTSTRAP_SUPERUSERID`).
const BOOTSTRAP_SUPERUSER: u32 = 10;

/// One membership.
struct Membership {
    role: String,
    member: String,
    grantor: Option<String>,
    admin: bool,
    /// `INHERIT`, if it is not what the member's own attribute gives, and `SET` (from 16).
    options: Option<(Option<bool>, bool)>,
}

/// GRANT role TO member, in an order in which each grantor may already grant (`dumpRoleMembership`).
pub(super) async fn read(session: &Session) -> Result<String> {
    let mut sql = String::new();
    let with_options = session.version_num() >= 160_000;
    let options = if with_options {
        "a.inherit_option, a.set_option"
    } else {
        "true AS inherit_option, true AS set_option"
    };
    let rows = session
        .rows(&format!(
            "SELECT r.rolname AS role, m.rolname AS member, g.rolname AS grantor, a.grantor AS grantor_oid, \
             a.admin_option, m.rolinherit, {options} FROM pg_catalog.pg_auth_members a \
             JOIN pg_catalog.pg_roles r ON r.oid = a.roleid JOIN pg_catalog.pg_roles m ON m.oid = a.member \
             LEFT JOIN pg_catalog.pg_roles g ON g.oid = a.grantor \
             WHERE NOT (r.rolname ~ '^pg_' AND m.rolname ~ '^pg_') ORDER BY 1, 2, 3"
        ))
        .await?;
    let mut left = Vec::new();
    for row in &rows {
        left.push(membership(row, with_options)?);
    }
    let mut may_grant: BTreeSet<(String, String)> = BTreeSet::new();
    while !left.is_empty() {
        let before = left.len();
        left.retain(|grant| {
            let by = grant.grantor.as_ref();
            let allowed = by.is_none_or(|by| may_grant.contains(&(grant.role.clone(), by.clone())));
            if allowed {
                if grant.admin {
                    may_grant.insert((grant.role.clone(), grant.member.clone()));
                }
                sql.push_str(&grant.sql());
            }
            !allowed
        });
        if left.len() == before {
            // The grantors' own grants are gone: the memberships are kept, as if granted by whoever restores.
            for mut grant in left.drain(..) {
                grant.grantor = None;
                sql.push_str(&grant.sql());
            }
        }
    }
    Ok(sql)
}

fn membership(row: &Row, with_options: bool) -> Result<Membership> {
    let grantor_oid: u32 = row.number("grantor_oid")?;
    Ok(Membership {
        role: row.string("role")?,
        member: row.string("member")?,
        // Before 16 the grantor was not kept with care, and may not be allowed to grant at all. What a superuser grants
        // is granted by the role that initdb made, whatever that is called at the target.
        grantor: if with_options && grantor_oid != BOOTSTRAP_SUPERUSER {
            row.optional_string("grantor")?
        } else {
            None
        },
        admin: row.flag("admin_option")?,
        options: if with_options {
            // A membership inherits as the member's attribute says, unless it is given otherwise (manual, GRANT). So what is
            // the same is not said, which servers before 16 would not understand.
            let inherit = row.flag("inherit_option")?;
            Some(((inherit != row.flag("rolinherit")?).then_some(inherit), row.flag("set_option")?))
        } else {
            None
        },
    })
}

impl Membership {
    fn sql(&self) -> String {
        let mut options = Vec::new();
        if self.admin {
            options.push("ADMIN OPTION");
        }
        if let Some((inherit, set)) = self.options {
            options.extend(inherit.map(|inherit| if inherit { "INHERIT TRUE" } else { "INHERIT FALSE" }));
            if !set {
                options.push("SET FALSE");
            }
        }
        let with = if options.is_empty() { String::new() } else { format!(" WITH {}", options.join(", ")) };
        let by =
            self.grantor.as_ref().map(|by| format!(" GRANTED BY {}", identifier(by))).unwrap_or_default();
        format!("GRANT {} TO {}{with}{by};\n", identifier(&self.role), identifier(&self.member))
    }
}
