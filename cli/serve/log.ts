/**
 * The server's log. To stdout, as servers do under systemd and in containers: one JSON object a line, or
 * readable lines on a terminal. Errors that end a command go to stderr as plain text (cli/output.ts).
 */
import { destination, pino, stdTimeFunctions, type Logger } from 'pino';
import type { LogLevel } from '../../config/settings.ts';

/**
 * Written synchronously: no line is lost when the process ends, and no worker thread is started. Only the
 * control thread logs, so a slow reader of stdout delays no answer.
 */
export async function createLog(level: LogLevel): Promise<Logger> {
  const options = {
    level,
    // No pid and host name: systemd and container runtimes add their own.
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: ['token', '*.token', 'authorization', '*.authorization'], censor: '[hidden]' },
  };
  if (!process.stdout.isTTY) return pino(options, destination({ dest: 1, sync: true }));
  // Only where a person looks: a tenth of a second of start-up that a service does not pay.
  const { PinoPretty } = await import('pino-pretty');
  return pino(options, PinoPretty({ destination: 1, sync: true, translateTime: 'SYS:HH:MM:ss.l' }));
}
