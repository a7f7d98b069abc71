/**
 * The script of the status page. The server writes every view; this gets a view again when something changes or a link
 * is followed, and changes what differs. Without it the page works by links and forms.
 */
import { morph } from './morph.ts';

/** Between two refreshes of a visible page without events: rates and ages change. */
const REFRESH_MS = 5000;
/** Events come in bunches when a region fails. */
const BUNCH_MS = 250;
const TIMEOUT_MS = 10_000;
const RECONNECT_MS = 3000;
const TOKEN = 'pharos-token';

document.documentElement.classList.add('live');
let latest = 0;
let planned: number | undefined;

function headersOf(accept: string): Record<string, string> {
  const token = sessionStorage.getItem(TOKEN);
  return { accept, ...(token === null ? {} : { authorization: `Bearer ${token}` }) };
}

/** Shows the view of an address. */
async function show(address: string, then?: () => void): Promise<void> {
  const turn = ++latest;
  const url = new URL(address, location.href);
  url.searchParams.set('fragment', '1');
  try {
    const reply = await fetch(url, { headers: headersOf('text/html'), signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (reply.status === 401) {
      signedOut();
      return;
    }
    if (!reply.ok) throw new Error(`${String(reply.status)} ${reply.statusText}`);
    const next = new DOMParser().parseFromString(await reply.text(), 'text/html');
    // An answer to a later request has come already.
    if (turn !== latest) return;
    const isWhole = document.querySelector('form[role=search]') !== null;
    for (const part of ['main', 'footer', ...(isWhole ? [] : ['header'])]) {
      const [old, fresh] = [document.querySelector(part), next.querySelector(part)];
      if (old && fresh) morph(old, fresh);
    }
    document.title = next.title;
    const icon = next.querySelector('link[rel=icon]')?.getAttribute('href');
    document.querySelector('link[rel=icon]')?.setAttribute('href', icon ?? '');
    lose(false);
    then?.();
    tick();
  } catch (error) {
    if (turn === latest) lose(true, error);
  }
}

/** The token is wrong, or no longer valid. */
function signedOut(): void {
  sessionStorage.removeItem(TOKEN);
  if (signIn() === null) location.reload();
  else say('This token is not one of this server.', 'bad');
}

/** The form of the page that is shown without a token. */
function signIn(): HTMLFormElement | null {
  return document.querySelector<HTMLFormElement>('form.sign-in');
}

function say(text: string, tone: string): void {
  const said = document.getElementById('said');
  if (said) [said.textContent, said.className] = [text, tone];
}

function lose(isLost: boolean, error?: unknown): void {
  const note = document.getElementById('lost');
  if (document.body.classList.contains('lost') === isLost || note === null) return;
  document.body.classList.toggle('lost', isLost);
  const why = error instanceof Error ? ` (${error.message})` : '';
  note.textContent = isLost ? `The server does not respond${why}. This is its last known state.` : '';
}

/** A person selects text, or enters a command: the page does not change under them. */
function isBusy(): boolean {
  if (document.hidden || signIn() !== null || String(getSelection()) !== '') return true;
  const { activeElement: active } = document;
  return active !== null && active.matches('form.act *, form.order *, select, input[name=client]');
}

function refresh(): void {
  if (!isBusy()) void show(location.href);
}

function refreshSoon(): void {
  planned ??= window.setTimeout(() => {
    planned = undefined;
    refresh();
  }, BUNCH_MS);
}

function go(address: string): void {
  history.pushState(null, '', address);
  void show(address, () => {
    const { hash } = new URL(address, location.href);
    const goal = hash === '' ? null : document.querySelector(hash);
    if (goal instanceof HTMLDetailsElement) goal.open = true;
    goal?.scrollIntoView({ block: 'nearest' });
  });
}

/** Follows the server's events. `fetch` instead of EventSource, which cannot send a token. */
async function follow(): Promise<void> {
  for (;;) {
    try {
      if (signIn() !== null) throw new Error('no token');
      const reply = await fetch('/api/v1/events', { headers: headersOf('text/event-stream') });
      if (!reply.ok || reply.body === null) throw new Error(reply.statusText);
      const reader = reply.body.getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        if (new TextDecoder().decode(part.value).includes('data:')) refreshSoon();
      }
    } catch {
      // The next refresh says that the server does not respond.
    }
    await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
  }
}

/** Counts down to the times that the server wrote. */
function tick(): void {
  for (const time of document.querySelectorAll<HTMLTimeElement>('time[data-before]')) {
    const left = Math.ceil((Date.parse(time.dateTime) - Date.now()) / 1000);
    const text = left > 0 ? `${time.dataset['before'] ?? ''} ${clock(left)}` : 'now';
    if (time.textContent !== text) time.textContent = text;
  }
}

function clock(seconds: number): string {
  if (seconds >= 7200) return `${String(Math.floor(seconds / 3600))} h`;
  return seconds < 120 ? `${String(seconds)} s` : `${String(Math.floor(seconds / 60))} min ${String(seconds % 60)} s`;
}

/** Gives the command that the form holds. */
async function give(form: HTMLFormElement): Promise<void> {
  const { method = 'PUT', path = '', body } = form.dataset;
  const token = form.querySelector<HTMLInputElement>('input[name=token]')?.value.trim();
  if (token !== undefined) sessionStorage.setItem(TOKEN, token);
  say('Sending …', 'soft');
  try {
    const headers = { ...headersOf('application/json'), ...(body ? { 'content-type': 'application/json' } : {}) };
    const reply = await fetch(path, { method, headers, ...(body ? { body } : {}) });
    const document_ = (await reply.json()) as Readonly<Record<string, unknown>>;
    if (!reply.ok) {
      // A token that may not do this was entered for it alone.
      if (token !== undefined && (reply.status === 401 || reply.status === 403)) sessionStorage.removeItem(TOKEN);
      say(`Refused: ${textOf(document_['detail'])}. ${textOf(document_['hint'])}`, 'bad');
      return;
    }
    const safeAt = document_['safe_at'];
    const warnings = document_['warnings'];
    const more = Array.isArray(warnings) ? warnings.map(textOf).join(' ') : '';
    say(`Done. ${typeof safeAt === 'string' ? `Safe to stop at ${safeAt.slice(11, 19)} UTC. ` : ''}${more}`, 'good');
  } catch (error) {
    say(`Not sent: ${String(error)}`, 'bad');
  }
  // The page shows the effect at once, also if the person still is in the form.
  getSelection()?.removeAllRanges();
  if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
  void show(location.href);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Copies the command; where the browser forbids that, selects it. */
async function copy(button: HTMLElement): Promise<void> {
  try {
    await navigator.clipboard.writeText(button.dataset['copy'] ?? '');
    button.textContent = 'Copied';
  } catch {
    getSelection()?.selectAllChildren(document.getElementById('line') ?? button);
    button.textContent = 'Selected';
  }
}

document.addEventListener('click', (event) => {
  if (!(event.target instanceof Element) || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0)
    return;
  const copied = event.target.closest<HTMLElement>('[data-copy]');
  if (copied) {
    void copy(copied);
    return;
  }
  const link = event.target.closest('a');
  const address = link?.getAttribute('href');
  if (!address || !/^\/($|\?|#)/.test(address)) return;
  event.preventDefault();
  go(address);
});

document.addEventListener('submit', (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement)) return;
  event.preventDefault();
  if (form.matches('.order')) void give(form);
  else if (form.matches('.sign-in')) enter(form);
  else send(form);
});

document.addEventListener('change', ({ target }) => {
  const form = target instanceof Element ? target.closest('form.auto') : null;
  if (form instanceof HTMLFormElement) send(form);
});

function enter(form: HTMLFormElement): void {
  sessionStorage.setItem(TOKEN, form.querySelector('input')?.value.trim() ?? '');
  say('Signing in …', 'soft');
  void show(location.href);
}

/** As a browser sends a form with the method GET, without empty fields. */
function send(form: HTMLFormElement): void {
  const search = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (typeof value === 'string' && value !== '') search.append(name, value);
  }
  if (document.activeElement instanceof HTMLElement && !form.matches('.auto')) document.activeElement.blur();
  go(search.size === 0 ? '/' : `/?${search.toString()}${form.matches('.act') ? '#act' : ''}`);
}

addEventListener('popstate', () => void show(location.href));
document.addEventListener('visibilitychange', refresh);
setInterval(refresh, REFRESH_MS);
setInterval(tick, 1000);
tick();
if (signIn() !== null && sessionStorage.getItem(TOKEN) !== null) void show(location.href);
void follow();
