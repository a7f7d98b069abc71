/**
 * A headless Chromium, controlled in its own protocol (Chrome DevTools Protocol) over Node's WebSocket.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { has } from '../support/process.ts';

/** Undefined if none is installed: such tests are skipped. */
export const CHROMIUM = ['chromium', 'chromium-browser', 'google-chrome'].find(has);

export type Page = {
  /** Loads an address; resolves when all of the page is loaded, and its scripts listen. */
  readonly open: (url: string) => Promise<void>;
  /** The value of an expression in the page; a promise is awaited. Throws what it throws. */
  readonly evaluate: (expression: string) => Promise<unknown>;
  /** Errors of scripts, of the policy, and of what the browser draws, so far. */
  readonly problems: () => readonly string[];
  /** Size of the window, and the colours that the user prefers. */
  readonly show: (size: { width: number; height: number }, scheme: 'light' | 'dark') => Promise<void>;
};

export type Browser = {
  readonly page: () => Promise<Page>;
  readonly [Symbol.asyncDispose]: () => Promise<void>;
};

type Event = {
  readonly method?: string;
  readonly sessionId?: string;
  readonly params?: {
    readonly entry?: { readonly level: string; readonly text: string };
    readonly exceptionDetails?: object;
  };
};

type Reply = { readonly id?: number; readonly result?: Record<string, unknown>; readonly error?: { message: string } };

export async function startChromium(): Promise<Browser> {
  if (CHROMIUM === undefined) throw new Error('chromium is not installed');
  const profile = mkdtempSync(join(tmpdir(), 'pharos-chromium-'));
  const flags = [
    '--headless=new',
    // Root in a container has no user namespaces for a sandbox; the pages are the test's own.
    '--no-sandbox',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--disable-background-networking',
    '--no-first-run',
    '--remote-debugging-port=0',
    `--user-data-dir=${profile}`,
    'about:blank',
  ];
  const child = spawn(CHROMIUM, flags, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise<void>((resolve) =>
    child.once('close', () => {
      resolve();
    }),
  );
  const address = await new Promise<string>((resolve, reject) => {
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      const match = /DevTools listening on (ws:\S+)/.exec(said);
      if (match?.[1] !== undefined) resolve(match[1]);
    });
    child.once('error', reject);
    child.once('close', () => {
      reject(new Error(`${CHROMIUM} ended at once:\n${said}`));
    });
  });
  const socket = new WebSocket(address);
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', () => {
      reject(new Error(`no connection to ${address}`));
    });
  });
  const waiting = new Map<number, (reply: Reply) => void>();
  const problems = new Map<string, string[]>();
  socket.addEventListener('message', ({ data }) => {
    const reply = JSON.parse(String(data)) as Reply & Event;
    if (reply.id !== undefined) waiting.get(reply.id)?.(reply);
    const { entry, exceptionDetails } = reply.params ?? {};
    const problem = exceptionDetails
      ? JSON.stringify(exceptionDetails)
      : entry?.level === 'error'
        ? entry.text
        : undefined;
    if (problem !== undefined) problems.get(reply.sessionId ?? '')?.push(problem);
  });
  let last = 0;
  const send = async (method: string, params: object, sessionId?: string): Promise<Record<string, unknown>> => {
    const id = ++last;
    const reply = await new Promise<Reply>((resolve) => {
      waiting.set(id, resolve);
      socket.send(JSON.stringify({ id, method, params, sessionId }));
    });
    waiting.delete(id);
    if (reply.error) throw new Error(`${method}: ${reply.error.message}`);
    return reply.result ?? {};
  };

  return {
    page: async () => {
      const { targetId } = await send('Target.createTarget', { url: 'about:blank' });
      const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true });
      const session = String(sessionId);
      problems.set(session, []);
      await send('Log.enable', {}, session);
      await send('Runtime.enable', {}, session);
      return {
        problems: () => problems.get(session) ?? [],
        show: async (size, scheme) => {
          const metrics = { ...size, deviceScaleFactor: 1, mobile: false };
          await send('Emulation.setDeviceMetricsOverride', metrics, session);
          const features = [{ name: 'prefers-color-scheme', value: scheme }];
          await send('Emulation.setEmulatedMedia', { features }, session);
        },
        open: async (url) => {
          const { errorText } = await send('Page.navigate', { url }, session);
          if (typeof errorText === 'string') throw new Error(`${url}: ${errorText}`);
          // Scripts listen from then on.
          const expression = `document.readyState === 'complete' || new Promise((done) => addEventListener('load', () => done(true)))`;
          await send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true }, session);
        },
        evaluate: async (expression) => {
          const params = { expression, awaitPromise: true, returnByValue: true };
          const { result, exceptionDetails } = await send('Runtime.evaluate', params, session);
          if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
          return (result as { readonly value?: unknown }).value;
        },
      };
    },
    [Symbol.asyncDispose]: async () => {
      socket.close();
      child.kill('SIGKILL');
      await ended;
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
