/**
 * Numbers with units (docs/configuration.md#how-values-are-written). Each parser returns undefined for invalid text.
 */

const MILLISECONDS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** `500ms`, `5s`, `1h30m`, to whole milliseconds. A number without a unit is invalid, except 0. */
export function parseDurationMs(text: string): number | undefined {
  if (text === '0') return 0;
  if (!/^(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, number = '', unit = ''] of text.matchAll(/([\d.]+)(ms|[smhdw])/g)) {
    total += Number(number) * (MILLISECONDS[unit] ?? 0);
  }
  const whole = Math.round(total);
  return Math.abs(whole - total) < 1e-6 && Number.isSafeInteger(whole) ? whole : undefined;
}

/** `300` (seconds, as in master files) or a duration of whole seconds. */
export function parseSeconds(text: string): number | undefined {
  if (/^\d+$/.test(text)) return Number(text);
  const ms = parseDurationMs(text);
  return ms !== undefined && ms % 1000 === 0 ? ms / 1000 : undefined;
}

/** `50%`, or a number from 0 to 1, to a number from 0 to 1. */
export function parseShare(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?|\.\d+)\s*(%?)$/.exec(text);
  if (!match) return undefined;
  const share = match[2] === '%' ? Number(match[1]) / 100 : Number(match[1]);
  return share <= 1 ? share : undefined;
}

/** `300km`, to kilometres. A bare 0 needs no unit. */
export function parseDistanceKm(text: string): number | undefined {
  if (text === '0') return 0;
  const match = /^(\d+(?:\.\d+)?)\s*km$/.exec(text);
  return match ? Number(match[1]) : undefined;
}

/** Formats a share from 0 to 1: `12.3 %`, `25.0 %`, `100 %`; `<0.1 %` for a share below 0.05 % that is not 0. */
export function percent(share: number): string {
  if (share > 0 && share < 0.0005) return '<0.1 %';
  return `${(share * 100).toFixed(share === 0 || share >= 0.9995 ? 0 : 1)} %`;
}

/** Formats milliseconds in the largest unit that divides them: `30m`, `1500ms`. */
export function formatDuration(ms: number): string {
  for (const unit of ['w', 'd', 'h', 'm', 's']) {
    const size = MILLISECONDS[unit] ?? 1;
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}

/** A decimal, `0x` or `0o` integer of YAML 1.2's core schema (10.3.2). */
export function parseInteger(text: string): number | undefined {
  if (!/^(?:[-+]?\d+|0x[0-9a-fA-F]+|0o[0-7]+)$/.test(text)) return undefined;
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : undefined;
}

/**
 * A whole number as `12,345`. Not toLocaleString: that loads tables of all languages first, which takes longer than
 * most commands.
 */
export function groupThousands(count: number): string {
  return String(count).replaceAll(/\B(?=(\d{3})+$)/g, ',');
}
