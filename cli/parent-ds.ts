/**
 * Asks the parent of a zone for its DS records.
 */
import { getServers } from 'node:dns';
import { parseEndpoint, type Endpoint } from '../wire/address.ts';
import { formatName, parseName, type Name } from '../wire/name.ts';
import { get8 } from '../wire/octets.ts';
import { TYPE, typeText } from '../wire/types.ts';
import { askDns } from './ask-dns.ts';

export type ParentDs = {
  /** How long resolvers may keep the DS records that the parent had until now. */
  readonly ttlSeconds: number;
  /** DS data as text: one list per name server that was asked. */
  readonly servers: readonly (readonly string[])[];
};

export const DNS_PORT = 53;
/** The TTL of a DS is at most this with most parents. A resolver only tells the time that is left of it. */
const USUAL_DS_TTL_SECONDS = 86_400;

/**
 * The DS records, from `server` (`192.0.2.1` or `192.0.2.1:53`), or else from all name servers of the parent, which the
 * resolver of this machine finds. Rejects if no server returns a usable answer.
 */
export async function askForDs(zone: Name, server: string | undefined): Promise<ParentDs> {
  const asked = server === undefined ? await parentServers(zone) : [endpointOf(server)];
  const answers = await Promise.allSettled(
    asked.map((endpoint) => askDns(endpoint, { name: zone, type: TYPE.DS, recursive: server !== undefined })),
  );
  const given = answers.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
  const [first] = answers;
  if (given.length === 0) throw first?.status === 'rejected' ? first.reason : new Error('no server was found to ask');
  const sets = given.map(({ answer }) => answer.filter(({ type }) => type === typeText(TYPE.DS)));
  const isWhole = given.every(({ isAuthoritative }) => isAuthoritative);
  return {
    ttlSeconds: Math.max(isWhole ? 0 : USUAL_DS_TTL_SECONDS, ...sets.flatMap((set) => set.map(({ ttl }) => ttl))),
    servers: sets.map((set) => set.map(({ data }) => data)),
  };
}

/** Throws if it is not an address. */
export function endpointOf(text: string): Endpoint {
  const endpoint = parseEndpoint(text, DNS_PORT);
  if (!endpoint) throw new Error(`${text} is not an address of a name server`);
  return endpoint;
}

/** The addresses of the name servers of the closest zone above. */
async function parentServers(zone: Name): Promise<readonly Endpoint[]> {
  const resolver = endpointOf(getServers()[0] ?? '127.0.0.1');
  const find = async (name: Name, type: number): Promise<readonly string[]> => {
    const { answer } = await askDns(resolver, { name, type, recursive: true });
    return answer.filter((record) => record.type === typeText(type)).map(({ data }) => data);
  };
  for (let name = zone; name.length > 1;) {
    name = name.subarray(get8(name, 0) + 1);
    const servers = await find(name, TYPE.NS);
    if (servers.length === 0) continue;
    const addresses = await Promise.all(
      servers.flatMap((each) => [TYPE.A, TYPE.AAAA].map((type) => find(parseName(each), type))),
    );
    const found = addresses.flat().map((host) => ({ host, port: DNS_PORT }));
    if (found.length === 0) throw new Error(`the name servers of ${formatName(name)} have no addresses`);
    return found;
  }
  throw new Error('the parent zone was not found');
}
