//! Roles that belong to the provider of a managed server.

/// How their names begin: Amazon RDS and Aurora, Google Cloud SQL and `AlloyDB`, Azure, Neon, Supabase.
const PREFIXES: &[&str] =
    &["rds_", "rdsadmin", "rdsrepladmin", "rdstopmgr", "cloudsql", "alloydb", "azure", "neon_", "supabase_"];

/// Names without such a beginning, which Neon and Supabase give.
const NAMES: &[&str] =
    &["anon", "authenticated", "authenticator", "cloud_admin", "dashboard_user", "pgbouncer", "service_role"];

/// Whether a role of this name is a provider's, where the server is a managed one. The name alone does not say so.
pub(super) fn is_reserved(role: &str) -> bool {
    NAMES.contains(&role) || PREFIXES.iter().any(|prefix| role.starts_with(prefix))
}
