/**
 * The audit log (docs/configuration.md#audit-log): one JSON object per line for each requested change, with its
 * outcome, and for each change made. Lines wait in memory while the file cannot be written. Nothing waits for the file.
 */
import { rename } from 'node:fs/promises';
import type { Alarms } from '../../config/alarms.ts';
import { plainJson } from '../../config/plain-text.ts';
import type { Settings } from '../../config/settings.ts';
import { openStateFile } from '../../health/atomic-file.ts';
import type { AuditedRequest } from '../../status/audit.ts';
import type { EventDocument } from '../../status/events.ts';

export type AuditLog = {
  readonly request: (request: AuditedRequest) => void;
  /** Writes changes of overrides, weights and records, reloads, and changes by schedules. */
  readonly event: (event: EventDocument) => void;
  /** Lines dropped since the start. */
  readonly dropped: () => number;
  /** Writes the lines that wait, as far as the file takes them in time. */
  readonly stop: () => Promise<void>;
};

export type AuditLogParts = {
  /** The settings in force. */
  readonly settings: () => Settings['log']['audit'];
  readonly alarms: Pick<Alarms, 'raise' | 'clear'>;
  /** Adds the name of this node to each line. */
  readonly node: () => string;
  readonly wallMs?: () => number;
  readonly retryMs?: number;
  /** Lines that may wait. */
  readonly maxLines?: number;
};

const RETRY_MS = 1000;
const MAX_LINES = 10_000;
/** Of Pharos's own file, before it becomes `audit.log.1` and replaces the previous one. */
const ROTATE_OCTETS = 10 * 1024 * 1024;
/** How long a write may take before the alarm. */
const LIMIT_MS = 5000;
/** How long the stop waits for the last lines. */
const STOP_MS = 1000;

const RECORDED = ['override', 'weight', 'reload', 'schedule', 'update'];

type AuditState = Required<AuditLogParts> & {
  waiting: string[];
  dropped: number;
  /** Lines dropped since the last line was written. */
  droppedNow: number;
  writing: Promise<void> | undefined;
  timer: NodeJS.Timeout | undefined;
};

export function createAuditLog(parts: AuditLogParts): AuditLog {
  const audit: AuditState = {
    ...{ wallMs: Date.now, retryMs: RETRY_MS, maxLines: MAX_LINES, ...parts },
    ...{ waiting: [], dropped: 0, droppedNow: 0, writing: undefined, timer: undefined },
  };
  return {
    request: (request) => {
      add(audit, { kind: 'request', ...request });
    },
    event: ({ kind, at, message, target, from, to, reason, who, update }) => {
      if (!RECORDED.includes(kind)) return;
      const what = update === null ? { target, from } : { update };
      add(audit, { kind, at, who, message, ...what, to, reason });
    },
    dropped: () => audit.dropped,
    stop: async () => {
      clearTimeout(audit.timer);
      let timer: NodeJS.Timeout | undefined;
      const limit = new Promise<void>((passed) => {
        timer = setTimeout(passed, STOP_MS);
      });
      const last = (audit.writing ?? Promise.resolve()).then(() => writeWaiting(audit));
      await Promise.race([last, limit]);
      clearTimeout(timer);
      audit.alarms.clear('audit_not_written');
    },
  };
}

function add(audit: AuditState, entry: object): void {
  if (audit.settings() === undefined) return;
  if (audit.waiting.length >= audit.maxLines) {
    audit.dropped += 1;
    audit.droppedNow += 1;
    return;
  }
  const at = new Date(audit.wallMs()).toISOString();
  audit.waiting.push(plainJson(`${JSON.stringify({ at, node: audit.node(), ...entry })}\n`));
  // Lines of one moment are written together.
  if (audit.timer === undefined && audit.writing === undefined) later(audit, 0);
}

function later(audit: AuditState, ms: number): void {
  audit.timer = setTimeout(() => {
    audit.timer = undefined;
    audit.writing = writeWaiting(audit).finally(() => {
      audit.writing = undefined;
      if (audit.waiting.length > 0) later(audit, audit.retryMs);
    });
  }, ms).unref();
}

/** Never rejects. */
async function writeWaiting(audit: AuditState): Promise<void> {
  const settings = audit.settings();
  const lines = audit.waiting.slice();
  if (settings === undefined || lines.length === 0) {
    audit.waiting = [];
    return;
  }
  const { file, isRotated } = settings;
  const slow = setTimeout(() => {
    tell(audit, file, `the file system did not respond within ${String(LIMIT_MS / 1000)} s`);
  }, LIMIT_MS).unref();
  try {
    const lost = audit.droppedNow;
    const note = lost === 0 ? '' : `${JSON.stringify({ at: new Date(audit.wallMs()).toISOString(), node: audit.node(), kind: 'dropped', lines: lost })}\n`; // prettier-ignore
    await append(file, lines.join('') + note, isRotated);
    audit.waiting.splice(0, lines.length);
    audit.droppedNow -= lost;
    audit.alarms.clear('audit_not_written');
  } catch (error) {
    tell(audit, file, error instanceof Error ? error.message : String(error));
  } finally {
    clearTimeout(slow);
  }
}

function tell({ alarms }: AuditState, file: string, why: string): void {
  const next = `The last ${String(MAX_LINES)} lines wait in memory, later ones are dropped.`;
  alarms.raise('audit_not_written', `The audit log ${file} cannot be written: ${why}. ${next}`);
}

async function append(file: string, text: string, isRotated: boolean): Promise<void> {
  const handle = await openStateFile(file, 'a');
  try {
    const { size } = await handle.stat();
    await handle.appendFile(text);
    if (isRotated && size + text.length > ROTATE_OCTETS) await rename(file, `${file}.1`);
  } finally {
    await handle.close();
  }
}
