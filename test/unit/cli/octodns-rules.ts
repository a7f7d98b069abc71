/**
 * What octoDNS refuses in a zone file, after the rules of its own validators (octodns/yaml.py, record/base.py,
 * record/dynamic.py, record/srv.py and record/uri.py of version 1.22). A stand-in: octoDNS itself is not installed for
 * tests.
 */
import { isMap, isSeq, parseDocument, type Node } from 'yaml';

type Fields = Readonly<Record<string, unknown>>;

/** Every reason for which octoDNS would not load this file. */
export function octodnsReasons(text: string): readonly string[] {
  const document = parseDocument(text, { version: '1.1' });
  const reasons = document.contents ? orderReasons(document.contents) : ['no records'];
  for (const [name, content] of Object.entries(document.toJS() as Record<string, Fields | readonly Fields[]>)) {
    const records = Array.isArray(content) ? (content as readonly Fields[]) : [content as Fields];
    for (const record of records) {
      const { type, ttl } = record as { readonly type: string; readonly ttl: number };
      const isLenient = fieldsIn(record, 'octodns')['lenient'] === true;
      const add = (reason: string): void => void reasons.push(`${name} ${type}: ${reason}`);
      if (isLenient) continue;
      if (!(ttl >= 0)) add('ttl');
      if ((type === 'SRV' || type === 'URI') && !/^(\*|_[^.]+)\.[^.]+/.test(name)) add('invalid name');
      if (type === 'ALIAS' && name !== '') add('non-root ALIAS');
      if (type === 'CNAME' && name === '') add('root CNAME');
      if (record['value'] === undefined && record['values'] === undefined) add('no value');
      const protocol = fieldsIn(fieldsIn(record, 'octodns'), 'healthcheck')['protocol'];
      if (protocol !== undefined && !['HTTP', 'HTTPS', 'ICMP', 'TCP', 'UDP'].includes(protocol as string))
        add('protocol');
      if (record['dynamic'] !== undefined) dynamicReasons(fieldsIn(record, 'dynamic')).forEach(add);
    }
  }
  return reasons;
}

function fieldsIn(fields: Fields, key: string): Fields {
  return (fields[key] ?? {}) as Fields;
}

/** Keys are in natural order: digits count by their value. */
function orderReasons(node: Node): string[] {
  if (isSeq(node)) return node.items.flatMap((item) => orderReasons(item as Node));
  if (!isMap(node)) return [];
  const keys = node.items.map(({ key }) => String(key));
  const own = keys.flatMap((key, at) =>
    at > 0 && isBefore(key, keys[at - 1] ?? '') ? [`keys out of order: ${key}`] : [],
  );
  return [...own, ...node.items.flatMap(({ value }) => orderReasons(value as Node))];
}

/** As natsort of Python: text and digits in turn, digits by their value. */
function isBefore(one: string, other: string): boolean {
  const [parts, others] = [one.match(/\d+|\D+/g) ?? [], other.match(/\d+|\D+/g) ?? []];
  const at = parts.findIndex((part, index) => part !== others[index]);
  if (at < 0) return parts.length < others.length;
  const [part = '', beside] = [parts[at], others[at]];
  if (beside === undefined) return false;
  const isDigits = (text: string): boolean => /^\d/.test(text);
  if (isDigits(part) && isDigits(beside)) return Number(part) < Number(beside);
  // A key of digits begins with an empty text.
  if (isDigits(part) !== isDigits(beside)) return isDigits(part);
  return part < beside;
}

type Pool = {
  readonly fallback?: string;
  readonly values: readonly { readonly weight?: number; readonly status?: string }[];
};
type Rule = { readonly pool: string; readonly geos?: readonly string[]; readonly subnets?: readonly string[] };

function dynamicReasons(dynamic: Fields): string[] {
  const pools = (dynamic['pools'] ?? {}) as Readonly<Record<string, Pool>>;
  const rules = (dynamic['rules'] ?? []) as readonly Rule[];
  const reasons: string[] = [];
  const used = new Set<string>();
  for (const [name, { fallback, values }] of Object.entries(pools)) {
    if (!/^[\w-]+$/.test(name)) reasons.push(`name of the pool ${name}`);
    if (values.length === 0) reasons.push(`${name} without values`);
    if (values.some(({ weight = 1 }) => !(weight >= 1 && weight <= 100))) reasons.push(`weight in ${name}`);
    if (values.length === 1 && (values[0]?.weight ?? 1) !== 1) reasons.push(`${name}: one value, and a weight`);
    if (values.some(({ status = 'obey' }) => !['up', 'down', 'obey'].includes(status)))
      reasons.push(`status in ${name}`);
    if (fallback !== undefined && !pools[fallback]) reasons.push(`undefined fallback ${fallback}`);
    if (fallback !== undefined) used.add(fallback);
    const way = new Set<string>();
    for (let at: string | undefined = name; at !== undefined; at = pools[at]?.fallback) {
      if (way.has(at)) reasons.push(`loop of ${name}`);
      if (way.has(at)) break;
      way.add(at);
    }
  }
  if (rules.length === 0) reasons.push('no rules');
  const heads = new Set<string>();
  const seen: string[] = [];
  for (const [at, { pool, geos = [], subnets = [] }] of rules.entries()) {
    const isLast = geos.length + subnets.length === 0;
    if (!pools[pool]) reasons.push(`undefined pool ${pool}`);
    if (heads.has(pool) && !isLast) reasons.push(`rule ${at + 1}: the pool ${pool} is reused`);
    if (isLast !== (at === rules.length - 1)) reasons.push(`rule ${at + 1}: the last rule alone has no place`);
    if (subnets.length > 0 && (rules[at - 1]?.geos ?? []).length > 0)
      reasons.push(`rule ${at + 1}: networks behind places`);
    for (const geo of [...geos].sort()) {
      if (!/^[A-Z]{2}(-[A-Z]{2}(-[A-Z]{2})?)?$/.test(geo)) reasons.push(`geo ${geo}`);
      if (seen.some((other) => geo.startsWith(other))) reasons.push(`rule ${at + 1}: ${geo} behind a wider place`);
      seen.push(geo);
    }
    heads.add(pool);
  }
  for (const name of Object.keys(pools)) if (!heads.has(name) && !used.has(name)) reasons.push(`unused pool ${name}`);
  return reasons;
}
