/**
 * RFC 1034 4.3.2 with RFC 2308, 4592, 6604 and 6672, literally: zones are lists of records, and every question is
 * answered by examining all of them.
 */
export type RefRecord = { readonly owner: string; readonly type: string; readonly ttl: number; readonly data: string };
/** Names are lower case with a final dot, labels of [a-z*]. */
export type RefZone = { readonly apex: string; readonly records: readonly RefRecord[]; readonly negativeTtl: number };
export type RefResponse = {
  rcode: 'NOERROR' | 'NXDOMAIN' | 'REFUSED';
  aa: boolean;
  answer: RefRecord[];
  authority: RefRecord[];
  additional: RefRecord[];
};

/** wire/limits.ts, MAX_CHAIN_LINKS: links after the first. */
const MAX_LINKS = 16;

export function isAt(name: string, ancestor: string): boolean {
  return name === ancestor || name.endsWith(`.${ancestor}`);
}

export function parentOf(name: string): string {
  return name.slice(name.indexOf('.') + 1);
}

/** The name and all names above it down from the apex. */
function pathTo(name: string, apex: string): string[] {
  return name === apex ? [apex] : [...pathTo(parentOf(name), apex), name];
}

export function lookup(zones: readonly RefZone[], qname: string, qtype: string): RefResponse {
  const response: RefResponse = { rcode: 'NOERROR', aa: false, answer: [], authority: [], additional: [] };
  const seen = new Set<string>();
  let name = qname;
  for (let link = 0; link <= MAX_LINKS; link++) {
    const next = step(zones, name, qtype, link, response, seen);
    if (next === undefined) break;
    name = next;
  }
  return response;
}

function zoneFor(zones: readonly RefZone[], name: string, qtype: string): RefZone | undefined {
  const above = zones.filter(({ apex }) => isAt(name, apex)).toSorted((a, b) => b.apex.length - a.apex.length);
  const [deepest, parent] = above;
  // RFC 4035 3.1.4.1: DS belongs to the parent if the parent delegates.
  if (qtype === 'DS' && deepest?.apex === name && parent) {
    if (parent.records.some(({ owner, type }) => owner === name && type === 'NS')) {
      const isBelowCut = pathTo(parentOf(name), parent.apex).some((each) => isCut(parent, each));
      if (!isBelowCut) return parent;
    }
  }
  return deepest;
}

function isCut(zone: RefZone, name: string): boolean {
  return name !== zone.apex && zone.records.some(({ owner, type }) => owner === name && type === 'NS');
}

/** The target of the name, undefined at the end. */
function step(
  zones: readonly RefZone[],
  name: string,
  qtype: string,
  link: number,
  response: RefResponse,
  seen: Set<string>,
): string | undefined {
  const zone = zoneFor(zones, name, qtype);
  if (!zone) {
    if (link === 0) response.rcode = 'REFUSED';
    return undefined;
  }
  const { records, apex } = zone;
  const path = pathTo(name, apex);
  /** Names below a cut, or in a child zone that is served, are not in this zone. */
  const authoritative = records.filter(({ owner }) => {
    if (!isAt(owner, apex)) return false;
    const above = pathTo(owner, apex).slice(0, -1);
    if (above.some((each) => isCut(zone, each))) return false;
    const isChilds = zones.some((other) => other !== zone && isAt(other.apex, apex) && isAt(owner, other.apex));
    return (
      !isChilds ||
      (isCut(zone, owner) &&
        !zones.some(
          (other) =>
            other !== zone && other.apex !== apex && isAt(other.apex, apex) && isAt(parentOf(owner), other.apex),
        ))
    );
  });
  const exists = (each: string): boolean => authoritative.some(({ owner }) => isAt(owner, each));
  const addressesOf = (from: readonly RefRecord[]): RefRecord[] =>
    hostsOf(from).flatMap((host) => {
      const isIn = isAt(host, apex) && !zones.some((other) => other !== zone && isWithin(host, other.apex, apex));
      const isGlue = !isIn || pathTo(host, apex).some((each) => isCut(zone, each));
      // Glue is only for name servers.
      if (isGlue) return from[0]?.type === 'NS' ? addressesAt(records, host, host) : [];
      if (exists(host)) return addressesAt(authoritative, host, host);
      const above = pathTo(host, apex).findLast((each) => exists(each)) ?? apex;
      const isRenamed = authoritative.some(({ owner, type }) => owner === above && type === 'DNAME');
      return isRenamed ? [] : addressesAt(authoritative, `*.${above}`, host);
    });

  const cut = path.find((each) => isCut(zone, each));
  if (cut !== undefined && !(cut === name && qtype === 'DS')) {
    const ns = records.filter(({ owner, type }) => owner === cut && type === 'NS');
    response.authority.push(...ns);
    response.additional.push(...addressesOf(ns));
    return undefined;
  }
  if (link === 0) response.aa = true;
  const dname = path
    .slice(0, -1)
    .flatMap((each) => authoritative.find(({ owner, type }) => owner === each && type === 'DNAME') ?? [])[0];
  if (dname) {
    if (response.answer.some(({ owner, type }) => owner === name && type === 'CNAME')) return undefined;
    if (!response.answer.includes(dname)) response.answer.push(dname);
    const target = name.slice(0, name.length - dname.owner.length) + dname.data;
    response.answer.push({ owner: name, type: 'CNAME', ttl: dname.ttl, data: target });
    return qtype === 'CNAME' ? undefined : target;
  }
  let source = name;
  if (!exists(name)) {
    const encloser = path.findLast((each) => exists(each)) ?? apex;
    source = `*.${encloser}`;
    if (!exists(source)) {
      response.rcode = 'NXDOMAIN';
      negative(zone, response);
      return undefined;
    }
  }
  const node = authoritative.filter(({ owner }) => owner === source);
  const cname = node.find(({ type }) => type === 'CNAME');
  if (cname && qtype !== 'CNAME' && qtype !== 'ANY') {
    const key = `${apex} ${name}`;
    if (seen.has(key)) return undefined;
    seen.add(key);
    response.answer.push({ ...cname, owner: name });
    return cname.data;
  }
  const found = node.filter(({ type }) => type === qtype || qtype === 'ANY');
  if (found.length === 0) negative(zone, response);
  // The DNAME may be in the response already, and a message contains an RRset once (RFC 2181 5).
  const isNew = (record: RefRecord): boolean => !response.answer.includes(record);
  response.answer.push(...found.filter(isNew).map((record) => ({ ...record, owner: name })));
  if (qtype !== 'ANY') response.additional.push(...addressesOf(found));
  return undefined;
}

/** RFC 2308 3. */
function negative({ apex, negativeTtl }: RefZone, response: RefResponse): void {
  response.authority.push({ owner: apex, type: 'SOA', ttl: negativeTtl, data: '' });
}

/** The hosts that records name. */
function hostsOf(from: readonly RefRecord[]): string[] {
  return [
    ...new Set(
      from.flatMap(({ type, data }) => (type === 'NS' ? [data] : type === 'MX' ? [data.split(' ')[1] ?? ''] : [])),
    ),
  ];
}

/** Addresses of the host in `source`: of the host itself, or of the wildcard that matches it. */
function addressesAt(records: readonly RefRecord[], source: string, host: string): RefRecord[] {
  return records
    .filter(({ owner, type }) => owner === source && (type === 'A' || type === 'AAAA'))
    .map((record) => ({ ...record, owner: host }));
}

/** Whether a name belongs to a zone below `apex`. */
function isWithin(name: string, childApex: string, apex: string): boolean {
  return childApex !== apex && isAt(childApex, apex) && isAt(name, childApex);
}
