/**
 * Record data in its shortest presentation format: names relative to the zone, text without needless quotes. A
 * shortened form is read back first, and is used only if it gives the same data.
 */
import type { Name } from '../../wire/name.ts';
import { NameError, formatName } from '../../wire/name.ts';
import { RdataError, formatRdata, parseRdataText } from '../../wire/rdata.ts';
import { TYPE, TYPE_NUMBERS } from '../../wire/types.ts';

const LAST_IS_NAME: ReadonlySet<number> = new Set(
  ['NS', 'CNAME', 'DNAME', 'PTR', 'MX', 'SRV', 'AFSDB', 'KX', 'NAPTR'].map((type) => TYPE_NUMBERS.get(type) ?? 0),
);

export function rdataText(type: number, rdata: Uint8Array, apex: Name): string {
  const full = formatRdata(type, rdata);
  const short = LAST_IS_NAME.has(type) ? withRelativeName(full, apex) : type === TYPE.TXT ? bareText(rdata) : undefined;
  return short !== undefined && readsAs(type, short, rdata, apex) ? short : full;
}

function withRelativeName(full: string, apex: Name): string | undefined {
  const zone = `${formatName(apex)}.`.toLowerCase();
  const at = full.lastIndexOf(' ') + 1;
  const name = full.slice(at);
  if (name.toLowerCase() === zone) return `${full.slice(0, at)}@`;
  return name.toLowerCase().endsWith(`.${zone}`) ? full.slice(0, -zone.length - 1) : undefined;
}

/** Joins the strings of a record to one text, if all but the last have 255 octets. */
function bareText(rdata: Uint8Array): string | undefined {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < rdata.length; at += (rdata[at] ?? 0) + 1) {
    parts.push(rdata.subarray(at + 1, at + 1 + (rdata[at] ?? 0)));
  }
  const text = Buffer.concat(parts).toString('latin1');
  return /^[\x20-\x7e]+$/.test(text) && text.trim() === text ? text.replaceAll('\\', '\\\\') : undefined;
}

function readsAs(type: number, text: string, rdata: Uint8Array, apex: Name): boolean {
  try {
    return Buffer.compare(parseRdataText(type, text, apex), rdata) === 0;
  } catch (error) {
    if (error instanceof RdataError || error instanceof NameError) return false;
    throw error;
  }
}
