/**
 * Reads the addresses and ports that the server opens, and reports those that conflict.
 */
import { formatEndpoint, showEndpoint, isWildcardHost, parseAddress, type Endpoint } from '../wire/address.ts';
import type { Place, Report } from './diagnostics.ts';
import { fromEnvironment, list, map, optional, required, type Read } from './fields.ts';
import { endpoint, prefix } from './network-fields.ts';
import { anyOf, described, like, schemaOf } from './schema.ts';
import { nodePlace, type YamlNode } from './yaml.ts';

const plainEntry = fromEnvironment(endpoint());

const mappedEntry = map('an entry of listen', {
  address: required(plainEntry, 'such as address: "0.0.0.0:53"'),
  proxy: optional(list(fromEnvironment(prefix()), { min: 1, hint: 'such as proxy: [10.0.0.0/8]' })),
});

/** An address, or a map that says more about it. */
const entry: Read<Endpoint> = described(
  () => anyOf(schemaOf(plainEntry, 'listen'), schemaOf(mappedEntry, 'listen')),
  (node: YamlNode, name: string, report: Report) => {
    if (node.kind !== 'map') return plainEntry(node, name, report);
    const read = mappedEntry(node, name, report);
    return read && (read.proxy ? { ...read.address, proxy: read.proxy } : read.address);
  },
);

/** Reads `listen` and `tls.listen`. */
export const listenField: Read<Endpoint[]> = like(
  list(entry, { min: 1 }),
  (node: YamlNode, name: string, report: Report) => {
    const seen: Endpoint[] = [];
    const read: Read<Endpoint> = (item, label, inner) => {
      const found = entry(item, label, inner);
      if (!found) return undefined;
      const written = showEndpoint(found);
      const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(found.host)?.[1];
      if (mapped !== undefined) {
        const plain = found.written === undefined ? formatEndpoint({ host: mapped, port: found.port }) : 'it as IPv4';
        const hint = `write ${plain}`;
        inner.error(
          'PH021',
          `${written} is an IPv4-mapped IPv6 address, which no socket can use`,
          nodePlace(item),
          hint,
        );
        return undefined;
      }
      const other = seen.find((each) => collide(each, found));
      if (!other) {
        seen.push(found);
        return found;
      }
      const [message, hint] =
        isWildcardHost(other.host) === isWildcardHost(found.host)
          ? [`duplicate address ${written}`, 'remove one of the two']
          : [
              `${written} and ${showEndpoint(other)} cannot both be opened`,
              'the wildcard covers all addresses: keep only the wildcard',
            ];
      inner.error('PH035', message, nodePlace(item), hint);
      return undefined;
    };
    return list(read, { min: 1, hint: 'such as 127.0.0.1:5300' })(node, name, report);
  },
);

/** Reports each of `endpoints` that conflicts with one of `taken`. `what` and `whose` are their keys. */
export function reportTaken(
  endpoints: readonly Endpoint[],
  what: string,
  taken: readonly Endpoint[],
  whose: string,
  place: Place,
  report: Report,
): void {
  for (const each of endpoints) {
    const other = taken.find((one) => collide(one, each));
    if (!other) continue;
    const written = showEndpoint(each);
    const why =
      isWildcardHost(other.host) === isWildcardHost(each.host)
        ? `which ${whose} uses too`
        : `and ${whose} on ${showEndpoint(other)}: a wildcard covers all addresses`;
    const hint = 'use another port for one of the two; the usual ports are 853 for TLS and 8053 for status';
    report.error('PH035', `${what} listens on ${written}, ${why}`, place, hint);
  }
}

/** Whether the system refuses the second of the two. IPv6 sockets do not accept IPv4; port 0 is any free port. */
function collide(a: Endpoint, b: Endpoint): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  const [left, right] = [parseAddress(a.host), parseAddress(b.host)];
  if (!left || !right || left.length !== right.length) return false;
  return isWildcardHost(a.host) || isWildcardHost(b.host) || Buffer.compare(left, right) === 0;
}
