/**
 * Reads the file of `status.tokens` again when it has changed, without a reload: a token must be revoked at once, also
 * while another file of the configuration has a mistake.
 */
import { stat } from 'node:fs/promises';
import { createReport, formatDiagnostic, hasErrors } from '../../config/diagnostics.ts';
import type { Environment } from '../../config/environment.ts';
import { readTokens } from '../../config/read-tokens.ts';
import type { Settings } from '../../config/settings.ts';

export type TokenWatch = {
  /** The settings in force, with the tokens as they are now. */
  readonly settings: () => Settings['status'];
  readonly start: () => void;
  readonly stop: () => void;
};

export type TokenWatchParts = {
  readonly settings: () => Settings['status'];
  readonly env: Environment;
  /** Called after the tokens have changed. */
  readonly changed: () => void;
  readonly info: (message: string) => void;
  readonly warn: (message: string) => void;
};

const LOOK_MS = 2000;

export function createTokenWatch(parts: TokenWatchParts): TokenWatch {
  let timer: NodeJS.Timeout | undefined;
  /** The file at the last look. */
  let seen: { readonly path: string; readonly mark: string } | undefined;
  let read: { readonly base: Settings['status']; readonly now: Settings['status'] } | undefined;

  const look = async (): Promise<void> => {
    const base = parts.settings();
    if (base?.tokensFile === undefined) return;
    const mark = await markOf(base.tokensFile);
    const isChanged = seen?.path === base.tokensFile && seen.mark !== mark;
    seen = { path: base.tokensFile, mark };
    if (!isChanged) return;
    const report = createReport();
    const tokens = readTokens(base.tokensFile, parts.env, report);
    for (const each of report.diagnostics) parts.warn(formatDiagnostic(each));
    if (tokens === undefined || hasErrors(report.diagnostics)) {
      parts.warn(`the tokens in ${base.tokensFile} have mistakes: those read before stay valid`);
      return;
    }
    read = { base, now: { ...base, credentials: tokens.credentials } };
    parts.info(`tokens read again: ${String(tokens.credentials.length)} in ${base.tokensFile}`);
    parts.changed();
  };
  return {
    settings: () => {
      const base = parts.settings();
      return read?.base === base ? read?.now : base;
    },
    start: () => {
      void look();
      timer = setInterval(() => void look(), LOOK_MS).unref();
    },
    stop: () => {
      clearInterval(timer);
    },
  };
}

async function markOf(path: string): Promise<string> {
  try {
    const { mtimeMs, size, ino, mode } = await stat(path);
    return [mtimeMs, size, ino, mode].join(' ');
  } catch {
    return '';
  }
}
