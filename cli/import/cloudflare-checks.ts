/**
 * Monitors of Cloudflare Load Balancing, as checks.
 */
import type { Name } from '../../wire/name.ts';
import { addCheck, note, type DraftValue, type ZoneDraft } from './draft.ts';
import { fieldsOf, listOf, numberOf, textOf, type Fields } from './values.ts';

/** Returns the name of the check of an origin; undefined, with a note, if there is none like the monitor. */
export function cloudflareCheck(draft: ZoneDraft, owner: Name, monitor: Fields, origin: Fields): string | undefined {
  const type = textOf(monitor['type']) ?? 'http';
  const positive = (number: number | undefined): number | undefined =>
    number === undefined || number === 0 ? undefined : number;
  const port = positive(numberOf(monitor['port'])) ?? positive(numberOf(origin['port']));
  const common = {
    interval: `${numberOf(monitor['interval']) ?? 60}s`,
    timeout: `${numberOf(monitor['timeout']) ?? 5}s`,
    rise: Math.max(1, numberOf(monitor['consecutive_up']) ?? 1),
    // Retries are made at once, before an origin counts as failed.
    fall: Math.max(1, numberOf(monitor['consecutive_down']) ?? 1) + (numberOf(monitor['retries']) ?? 0),
  };
  switch (type) {
    case 'http':
    case 'https':
      return addCheck(draft, type, { type, ...httpSettings(monitor, origin, type === 'https', port), ...common });
    case 'tcp':
    case 'smtp':
      return addCheck(draft, 'tcp', {
        type: 'tcp',
        port: port ?? (type === 'smtp' ? 25 : 80),
        ...(type === 'smtp' ? { expect: '220' } : {}),
        ...common,
      });
    case 'icmp_ping':
      return addCheck(draft, 'exec', {
        type: 'exec',
        command: ['sh', '-c', 'exec ping -c 1 "$PHAROS_ADDRESS"'],
        ...common,
      });
    default:
      note(draft, 'changed', owner, `the monitor of the type ${type} has no equivalent: give the service a check`);
      return undefined;
  }
}

function httpSettings(
  monitor: Fields,
  origin: Fields,
  isTls: boolean,
  port: number | undefined,
): { readonly [key: string]: DraftValue } {
  const headers = { ...fieldsOf(monitor['header']), ...fieldsOf(origin['header']) };
  const texts = Object.entries(headers).map(([name, values]) => [name, textOf(listOf(values)[0]) ?? ''] as const);
  const host = texts.find(([name]) => name.toLowerCase() === 'host')?.[1];
  const others = Object.fromEntries(texts.filter(([name]) => name.toLowerCase() !== 'host'));
  const [method, body] = [textOf(monitor['method']) ?? 'GET', textOf(monitor['expected_body']) ?? ''];
  return {
    path: textOf(monitor['path']) ?? '/',
    ...(host === undefined ? {} : { host }),
    ...(port === undefined || port === (isTls ? 443 : 80) ? {} : { port }),
    ...(method === 'GET' ? {} : { method }),
    ...(Object.keys(others).length === 0 ? {} : { headers: others }),
    status: statusOf(textOf(monitor['expected_codes']) ?? '200'),
    ...(body === '' ? {} : { body }),
    ...(isTls && textOf(monitor['allow_insecure']) === 'true' ? { insecure: true } : {}),
  };
}

/** `2xx,301` as ranges. */
function statusOf(codes: string): DraftValue {
  const list = codes.split(',').map((code): string | number => {
    const text = code.trim().toLowerCase();
    if (/^\dxx$/.test(text)) return `${text.charAt(0)}00-${text.charAt(0)}99`;
    return /^\d+$/.test(text) ? Number(text) : text;
  });
  const [only] = list;
  return list.length === 1 && only !== undefined ? only : list;
}
