//! The store on PostgreSQL keeps the promises of the ports.

use crate::support::on_postgres as fresh;

flux_testkit::store_suite!(fresh);
