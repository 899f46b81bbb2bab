//! Runs plans: the only room that both decides and touches servers.
//!
//! `observe -> decide -> act -> record`, in this order, whatever the program is called.

pub mod calm;
pub mod check;
pub mod close;
pub mod drain;
pub mod failure;
pub mod here;
pub mod memory;
pub mod overview;
pub mod promote;
pub mod receipt;
pub mod rejoin;
pub mod relay;
pub mod render;
pub mod repair;
pub mod salvage;
pub mod servers;
pub mod settings;
pub mod steps;
pub mod stop;
