//! The user that a server of ours runs as. PostgreSQL refuses to run as root, so root starts it as an ordinary user;
//! anybody else runs it directly.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};

/// Users that exist on every Linux machine, the best first.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];
const USERS: &str = "/etc/passwd";

/// What to do when `initdb` finds no name for its user.
pub(super) const NO_USER: &str = "The image's /etc/passwd has no line for the user that the job runs as. Add one, or install nss_wrapper \
     (Debian: libnss-wrapper), which is used where it is found.";

/// Where distributions put nss_wrapper, as the entry point of PostgreSQL's own container image looks for it.
const NSS_WRAPPER: [&str; 4] = [
    "/usr/lib64/libnss_wrapper.so",
    "/usr/lib/libnss_wrapper.so",
    "/usr/lib/x86_64-linux-gnu/libnss_wrapper.so",
    "/usr/lib/aarch64-linux-gnu/libnss_wrapper.so",
];

/// A user to run as, instead of root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    /// Gives a file or folder (not what is in it) to this user.
    pub(super) fn own(&self, path: &Path) -> Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
            .map_err(|source| local("cannot be given to the server's user", path).because(source))
    }
}

/// The user to run as, if this is root.
pub(super) fn server_account() -> Result<Option<Account>> {
    if own_uid()? != 0 {
        return Ok(None);
    }
    let users = users()?;
    UNPRIVILEGED.iter().find_map(|name| by_name(&users, name)).map(Some).ok_or_else(|| {
        Error::new(
            ErrorKind::EmbeddedFailed,
            "PostgreSQL does not run as root, and there is no user postgres or nobody",
        )
        .hint("Run pgark as an ordinary user, or make a user `postgres`.")
    })
}

pub(super) fn own_uid() -> Result<u32> {
    let me = Path::new("/proc/self");
    Ok(fs::metadata(me).map_err(|source| local("cannot be read", me).because(source))?.uid())
}

/// Variables that give the user a name where it has none: `initdb` insists on one, and in containers, as in Lambda's,
/// users often have only a number. None if there is a name, or nothing that gives one.
pub(super) fn name_for_user(
    folder: &Path,
    account: Option<&Account>,
) -> Result<Vec<(&'static str, OsString)>> {
    let uid = account.map_or_else(own_uid, |account| Ok(account.uid))?;
    if has_name(&users().unwrap_or_default(), uid) {
        return Ok(Vec::new());
    }
    let Some(wrapper) = NSS_WRAPPER.iter().map(PathBuf::from).find(|library| library.is_file()) else {
        return Ok(Vec::new());
    };
    let (passwd, group) = (folder.join("passwd"), folder.join("group"));
    let write = |path: &Path, text: String| {
        fs::write(path, text).map_err(|source| local("cannot be written", path).because(source))
    };
    write(&passwd, format!("pgark:x:{uid}:{uid}:pgark:{}:/bin/false\n", folder.display()))?;
    write(&group, format!("pgark:x:{uid}:\n"))?;
    Ok(vec![
        ("LD_PRELOAD", wrapper.into_os_string()),
        ("NSS_WRAPPER_PASSWD", passwd.into_os_string()),
        ("NSS_WRAPPER_GROUP", group.into_os_string()),
    ])
}

fn users() -> Result<String> {
    fs::read_to_string(USERS).map_err(|source| local("cannot be read", Path::new(USERS)).because(source))
}

/// A line of /etc/passwd: name, password, uid, gid, ...
fn by_name(users: &str, wanted: &str) -> Option<Account> {
    users.lines().find_map(|line| match line.split(':').collect::<Vec<_>>()[..] {
        [name, _, uid, gid, ..] if name == wanted => {
            Some(Account { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
        }
        _ => None,
    })
}

fn has_name(users: &str, uid: u32) -> bool {
    users.lines().any(|line| line.split(':').nth(2).is_some_and(|field| field.parse() == Ok(uid)))
}

fn local(message: &str, path: &Path) -> Error {
    Error::new(ErrorKind::LocalFile, message).on(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_and_by_number() {
        let users = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65533:nobody:/:/bin/false\n\nbroken\n";
        assert_eq!(by_name(users, "nobody"), Some(Account { uid: 65534, gid: 65533 }));
        assert_eq!(by_name(users, "postgres"), None);
        assert!(has_name(users, 0) && has_name(users, 65534));
        assert!(!has_name(users, 65533) && !has_name(users, 993));
    }
}
