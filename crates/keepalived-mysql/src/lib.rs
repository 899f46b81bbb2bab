//! What keepalived's hooks need to move a MySQL or MariaDB pair without losing or forking data.
//!
//! VRRP proposes, this library disposes: the VIP may land anywhere, but writes open on a node only
//! after our own checks have passed. Every program walks `observe -> decide -> act -> record`.
//!
//! The floors, from the ground up: [`replication`], [`config`] and [`role`]; [`server`]; [`node`],
//! [`binlog`] and [`ledger`]; [`decide`], which sees only data; [`act`], which both decides and touches
//! servers; [`report`], which turns what was seen into words; [`programs`] on top.

pub mod act;
pub mod binlog;
pub mod cli;
pub mod config;
pub mod deadline;
pub mod decide;
pub mod epoch;
pub mod gate;
pub mod keepalived;
pub mod ledger;
pub mod lock;
pub mod logging;
pub mod message;
pub mod node;
pub mod programs;
pub mod replication;
pub mod report;
pub mod role;
pub mod server;
pub mod switches;
pub mod sys;
pub mod view;
pub mod vip;
