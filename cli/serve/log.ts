/**
 * The server's log, on stdout for systemd and containers: one JSON object per line, or readable lines on a terminal.
 * Errors that end a command go to stderr as plain text (cli/output.ts).
 */
import { pino, stdTimeFunctions, type Logger } from 'pino';
import { plainJson } from '../../config/plain-text.ts';
import type { LogLevel } from '../../config/settings.ts';
import { nonblockingWrite } from '../../server/io/nonblocking.ts';
import { createLogWriter, type DropListener } from './log-writer.ts';

/**
 * The control thread writes without blocking (log-writer.ts). Lines that wait when the process ends are written then.
 */
export async function createLog(
  level: LogLevel,
  listener?: DropListener,
  /** Removes from a line the paths that messages must not show. */
  forPeople: (line: string) => string = (line) => line,
): Promise<Logger> {
  const writer = createLogWriter(nonblockingWrite(1), {
    dropped: (lines) => {
      listener?.dropped(lines);
    },
    caughtUp: (lines) => {
      listener?.caughtUp(lines);
      logger.warn({ dropped: lines }, `${String(lines)} log lines were dropped: the reader of the log did not keep up`);
    },
  });
  process.on('exit', writer.finish);
  const pretty = await prettyOnTerminal();
  const logger = pino(
    {
      level,
      // No pid and host name: systemd and container runtimes add their own.
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label: string) => ({ level: label }) },
      redact: { paths: ['token', '*.token', 'authorization', '*.authorization'], censor: '[hidden]' },
    },
    {
      write: (line: string) => {
        writer.write(pretty(plainJson(forPeople(line))));
      },
    },
  );
  return logger;
}

/** Loaded only for a terminal: it takes a tenth of a second at the start. */
async function prettyOnTerminal(): Promise<(line: string) => string> {
  if (!process.stdout.isTTY) return (line) => line;
  const { prettyFactory, isColorSupported } = await import('pino-pretty');
  const pretty = prettyFactory({ translateTime: 'SYS:HH:MM:ss.l', colorize: isColorSupported });
  return (line) => pretty(line);
}
