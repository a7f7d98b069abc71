/** Events and overrides on one time line: what changed, why, and who did it. */
import type { EventDocument } from '../events.ts';
import { overrideDocuments, weightDocuments } from '../override-json.ts';
import type { Runtime } from '../runtime.ts';
import { age, lasting } from '../vip-words.ts';
import { html } from './markup.ts';

/** Events shown. */
const MAX_EVENTS = 60;
const MAX_ORDERS = 100;
/** A drain without an end is forgotten after this time. */
const FORGOTTEN_MS = 24 * 3_600_000;

type Wanted = (target: string) => boolean;

/** Overrides and weights in force: who, why, until when, and when it is safe to stop. */
export function ordersInForce(runtime: Runtime, isWanted: Wanted, nowMs: number): string {
  const overrides = overrideDocuments(runtime).filter(({ target }) => isWanted(target));
  const weights = weightDocuments(runtime).filter(({ target }) => isWanted(target));
  if (overrides.length + weights.length === 0) return '';
  const rows = [
    ...overrides.map(({ target, state, reason, since, until, by, safe_at: safeAt, present }) => {
      const isForgotten = state === 'drain' && until === null && nowMs - Date.parse(since) > FORGOTTEN_MS;
      const left =
        until === null
          ? isForgotten
            ? '<b class="odd">no end: forgotten?</b>'
            : 'no end'
          : countdown(until, nowMs, 'ends in', 'ended');
      const safe =
        state === 'up'
          ? ''
          : safeAt === null
            ? '<span class="bad">answers still name it</span>'
            : countdown(safeAt, nowMs, 'safe to stop in', '<b class="good">safe to stop</b>');
      return `<tr><td>${html(target)}${present ? '' : ' <span class="odd">(not configured; it applies again if it returns)</span>'}<td class="odd">${state}<td data-name="for">${age(since, nowMs)}<td>${whoWords(by)}<td>${left}<td>${safe}<td class="last">${html(reason ?? '')}</tr>`;
    }),
    ...weights.map(({ target, weight, file_weight: file, reason, since, by }) => {
      return `<tr><td>${html(target)}<td class="odd">weight ${weight} (file ${file ?? '-'})<td data-name="for">${age(since, nowMs)}<td>${whoWords(by)}<td><td><td class="last">${html(reason ?? '')}</tr>`;
    }),
  ];
  const more = rows.length > MAX_ORDERS ? `<p class="soft">and ${rows.length - MAX_ORDERS} more</p>` : '';
  return `<h2 id="orders">In force</h2><section class="card" data-key="orders"><table class="plain orders"><thead><tr><th>target<th>order<th>for<th>by<th>end<th>safe to stop<th>reason</tr></thead><tbody>${rows.slice(0, MAX_ORDERS).join('\n')}</tbody></table>${more}</section>`;
}

function whoWords(by: string): string {
  return by === 'schedule' ? 'a schedule' : by === 'node' ? 'this node' : by === 'operator' ? 'an operator' : html(by);
}

/** A time that the script counts down; without it, the time left when the page was made. */
function countdown(iso: string, nowMs: number, before: string, over: string): string {
  const leftMs = Date.parse(iso) - nowMs;
  return leftMs <= 0
    ? over
    : `<time datetime="${iso}" data-before="${before}">${before} ${lasting(leftMs / 1000)}</time>`;
}

const EVENT_TONES: Readonly<Record<string, string>> = {
  down: 'bad',
  raised: 'bad',
  refused: 'bad',
  up: 'good',
  ok: 'good',
  over: 'good',
  failed: 'bad',
  dropped: 'odd',
  drain: 'odd',
};

/** The newest first. */
export function timeline(runtime: Runtime, isWanted: (event: EventDocument) => boolean, nowMs: number): string {
  const events = runtime.events.after(undefined).filter(isWanted);
  const shown = events.slice(-MAX_EVENTS).reverse();
  if (shown.length === 0) return '<h2 id="events">Events</h2><p class="soft">Nothing has changed since the start.</p>';
  const rows = shown.map((event) => {
    const tone = EVENT_TONES[String(event.to)] ?? 'soft';
    // The words of the other kinds name who it was, and so does the reason of an order that gives none.
    const who = event.who === null || event.message.endsWith(`: by ${event.who}`) || event.kind === 'request' || event.kind === 'update' ? '' : ` <span class="soft who">by ${html(event.who)}</span>`; // prettier-ignore
    return `<li data-key="${event.id}"><time datetime="${event.at}" title="${event.at}">${event.at.slice(11, 19)}</time> <span class="soft ago">${age(event.at, nowMs)}</span> <span class="kind ${tone}">${event.kind}</span> <span>${html(event.message)}${who}</span></li>`;
  });
  return `<h2 id="events">Events <span class="soft">UTC, newest first</span></h2><ol class="timeline">${rows.join('\n')}</ol>${events.length > shown.length ? `<p class="soft">${events.length - shown.length} earlier: <a href="/api/v1/events">/api/v1/events</a></p>` : ''}`;
}
