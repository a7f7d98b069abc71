/** Small charts as SVG: a day of states, and a line of a rate. */
import { HISTORY_MINUTES, type PastSpan } from '../history.ts';
import { html } from './markup.ts';

const STATE_WORDS = { none: 'not seen', up: 'up', unknown: 'unknown', drain: 'drained', down: 'down' } as const;

/** The worst state of each minute of the last 24 hours, from left to right. */
export function stateStrip(spans: readonly PastSpan[]): string {
  let at = 0;
  const rects = spans.flatMap(({ state, minutes }) => {
    const rect = state === 'none' ? [] : [`<path class="s-${state}" d="M${at} 0h${minutes}v10h-${minutes}z"/>`];
    at += minutes;
    return rect;
  });
  return `<svg class="strip" viewBox="0 0 ${HISTORY_MINUTES} 10" preserveAspectRatio="none" role="img" aria-label="${html(stripWords(spans))}">${rects.join('')}</svg>`;
}

/** `last 24 h: down 12 min, drained 3 min, up 20 min` */
function stripWords(spans: readonly PastSpan[]): string {
  const sums = new Map<PastSpan['state'], number>();
  for (const { state, minutes } of spans) sums.set(state, (sums.get(state) ?? 0) + minutes);
  const words = (['down', 'drain', 'unknown', 'up'] as const).flatMap((state) => {
    const minutes = sums.get(state) ?? 0;
    return minutes === 0 ? [] : [`${STATE_WORDS[state]} ${minutes} min`];
  });
  return words.length === 0 ? 'no history yet' : `last 24 h: ${words.join(', ')}`;
}

const LINE_WIDTH = 240;
const LINE_HEIGHT = 40;

/** A rate by minute, the oldest first; the newest is at the right. */
export function sparkLine(values: readonly number[], tone: string, label: string): string {
  const most = Math.max(...values, 0);
  const text = `${label}: ${values.length} min, at most ${most.toFixed(1)} per second`;
  const step = LINE_WIDTH / Math.max(1, values.length - 1);
  const points = values.map((value, index) => {
    const y = LINE_HEIGHT - 2 - (most === 0 ? 0 : (value / most) * (LINE_HEIGHT - 4));
    return `${(index * step).toFixed(1)} ${y.toFixed(1)}`;
  });
  const line = points.length < 2 ? '' : `<path d="M${points.join('L')}"/>`;
  return `<svg class="spark ${tone}" viewBox="0 0 ${LINE_WIDTH} ${LINE_HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${html(text)}">${line}</svg>`;
}
