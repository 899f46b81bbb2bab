//! Where the programs say what they do: a file, the journal, and standard error.
//!
//! Logging never stops a program: what cannot be written is dropped.

mod line;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _,
};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use log::{LevelFilter, Record};

use crate::cli::FAILURE_TARGET;
use crate::config::{LogConfig, LogFormat, LogLevel};
use crate::sys;

/// Who logs.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The program's name.
    pub program: String,
    /// The group's name; empty before the configuration is read.
    pub group: String,
}

/// Where the journal, or syslog, listens.
const DEV_LOG: &str = "/dev/log";

/// Start logging as `config` says, `verbosity` levels more (or, negative, less). To be called once;
/// a second call changes nothing.
///
/// Standard error is written to as well unless it is `/dev/null`, as it is under keepalived. A log
/// file that cannot be opened is itself reported to the other two.
pub fn init(config: &LogConfig, origin: &Origin, verbosity: i8) {
    let opened = config.file.as_deref().map(open_log).transpose();
    let (file, failure) = match opened {
        Ok(file) => (file, None),
        Err(why) => (None, Some(why)),
    };
    let sinks = Sinks {
        origin: origin.clone(),
        format: config.format,
        has_file: file.is_some(),
        journal: config
            .journal
            .then(|| connect(Path::new(DEV_LOG)))
            .flatten(),
        stderr: stderr_is_read(),
    };
    let output: Box<dyn Write + Send> = match file {
        Some(file) => Box::new(file),
        None => Box::new(io::sink()),
    };
    let mut builder = env_logger::Builder::new();
    builder
        .filter_level(level(config.level, verbosity))
        .target(env_logger::Target::Pipe(output))
        .format(move |buffer, record| sinks.write(buffer, record));
    // A logger that somebody has set before us stays.
    let _ = builder.try_init();
    if let (Some(why), Some(path)) = (failure, &config.file) {
        log::warn!("cannot log to {}: {why}", path.display());
    }
}

fn level(configured: LogLevel, verbosity: i8) -> LevelFilter {
    let levels = [
        LevelFilter::Error,
        LevelFilter::Warn,
        LevelFilter::Info,
        LevelFilter::Debug,
        LevelFilter::Trace,
    ];
    let wanted = (configured as isize).saturating_add(isize::from(verbosity));
    let index = usize::try_from(wanted).unwrap_or(0);
    levels[index.min(levels.len() - 1)]
}

/// Open the log file to append (0640), and make its folder (0750).
fn open_log(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(folder)?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o640);
    // A link in the log's place could lead to any file of ours.
    sys::open_regular(&mut options, path).map(|(file, _)| file)
}

/// Connect to the journal without ever waiting for it.
fn connect(path: &Path) -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    socket.connect(path).ok()?;
    Some(socket)
}

/// Whether anybody can read standard error.
fn stderr_is_read() -> bool {
    let Ok(null) = std::fs::metadata("/dev/null") else {
        return true;
    };
    match std::fs::metadata("/proc/self/fd/2") {
        Ok(found) => !(found.file_type().is_char_device() && found.rdev() == null.rdev()),
        Err(_) => true,
    }
}

struct Sinks {
    origin: Origin,
    format: LogFormat,
    has_file: bool,
    journal: Option<UnixDatagram>,
    stderr: bool,
}

impl Sinks {
    /// Write one event everywhere; `buffer` goes to the file.
    fn write(&self, buffer: &mut dyn Write, record: &Record<'_>) -> io::Result<()> {
        let event = line::Event::new(&self.origin, record);
        if let Some(journal) = &self.journal {
            let _ = journal.send(event.syslog().as_bytes());
        }
        // A failure's three lines are on standard error already.
        if self.stderr && record.target() != FAILURE_TARGET {
            let _ = writeln!(io::stderr(), "{}", event.short());
        }
        if !self.has_file {
            return Ok(());
        }
        match self.format {
            LogFormat::Plain => writeln!(buffer, "{}", event.plain()),
            LogFormat::Json => writeln!(buffer, "{}", event.json()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    fn sinks(format: LogFormat, journal: Option<UnixDatagram>) -> Sinks {
        Sinks {
            origin: Origin {
                program: "check_mysql".to_owned(),
                group: "VI_1".to_owned(),
            },
            format,
            has_file: true,
            journal,
            stderr: false,
        }
    }

    fn written(sinks: &Sinks, message: &str) -> String {
        let mut buffer = Vec::new();
        let args = format_args!("{message}");
        // The arguments must live as long as the record.
        let record = Record::builder().args(args).level(log::Level::Warn).build();
        sinks.write(&mut buffer, &record).unwrap();
        String::from_utf8(buffer).unwrap()
    }

    #[test]
    fn levels_follow_verbosity() {
        let table = [
            (LogLevel::Info, 0, LevelFilter::Info),
            (LogLevel::Info, 1, LevelFilter::Debug),
            (LogLevel::Info, 100, LevelFilter::Trace),
            (LogLevel::Info, -2, LevelFilter::Error),
            (LogLevel::Error, -2, LevelFilter::Error),
        ];
        for (configured, verbosity, expected) in table {
            assert_eq!(level(configured, verbosity), expected);
        }
    }

    #[test]
    fn one_line_per_event() {
        for format in [LogFormat::Plain, LogFormat::Json] {
            let text = written(&sinks(format, None), "first\nsecond \"quoted\"");
            assert_eq!(text.matches('\n').count(), 1, "{text}");
        }
        let text = written(&sinks(LogFormat::Json, None), "a\nb");
        let event: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(event["program"], "check_mysql");
        assert_eq!(event["group"], "VI_1");
        assert_eq!(event["level"], "WARN");
        assert_eq!(event["pid"], std::process::id());
        assert_eq!(event["message"], "a b");
    }

    #[test]
    fn the_journal_gets_a_datagram_and_may_be_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        assert!(connect(&path).is_none());
        let journal = UnixDatagram::bind(&path).unwrap();
        let sinks = sinks(LogFormat::Plain, connect(&path));
        written(&sinks, "hello");
        let mut buffer = [0; 1000];
        let length = journal.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        assert!(text.starts_with("<28>"), "{text}");
        let tail = format!(" check_mysql[{}]: VI_1: hello", std::process::id());
        assert!(text.ends_with(&tail), "{text}");
        // A journal that does not read, or has gone, delays nobody.
        for _ in 0..2000 {
            written(&sinks, "flood");
        }
        drop(journal);
        written(&sinks, "gone");
    }

    #[test]
    fn the_file_is_made_with_its_folder_and_appended_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/log");
        writeln!(open_log(&path).unwrap(), "1").unwrap();
        writeln!(open_log(&path).unwrap(), "2").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n2\n");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o137, 0, "{mode:o}");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(open_log(&link).is_err());
    }

    #[test]
    fn a_useless_log_file_stops_nothing() {
        let config = LogConfig {
            file: Some("/proc/nowhere/log".into()),
            journal: false,
            ..LogConfig::default()
        };
        let origin = Origin {
            program: "test".to_owned(),
            group: String::new(),
        };
        init(&config, &origin, 0);
        init(&config, &origin, 0);
    }
}
