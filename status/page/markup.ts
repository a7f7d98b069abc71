/** HTML of the status page, and the links from one of its views to another. */

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** For text and for values of attributes in quotes. */
export function html(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => ENTITIES[letter] ?? letter);
}

export function noteBox(tone: 'bad' | 'odd', title: string, text: string): string {
  return `<p class="note ${tone}"><b>${html(title)}</b><br><span>${html(text)}</span></p>`;
}

/** The query string of the page: what it shows. Every view has a URL. */
export type PageQuery = {
  /** Part of the name of services, VIPs or regions. */
  readonly find?: string;
  /** A service or a region alone, and for a service its map. */
  readonly service?: string;
  readonly region?: string;
  /** The client to explain: a country or an address. */
  readonly country?: string;
  readonly client?: string;
  /** "What if": targets that fail. */
  readonly down?: string | readonly string[];
  /** A command, whose effect is shown before it is given. */
  readonly act?: string;
  readonly target?: string;
  readonly for?: string;
  readonly reason?: string;
  readonly weight?: string;
  /** Set by the script: the page without its constant parts. */
  readonly fragment?: string;
};

/** The link to the same page with other members; undefined removes one. */
export function linkTo(
  query: PageQuery,
  changes: { readonly [Name in keyof PageQuery]?: PageQuery[Name] | undefined },
): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...query, ...changes, fragment: undefined })) {
    for (const each of [value ?? []].flat()) if (each !== '') search.append(name, each);
  }
  const text = search.toString();
  return html(text === '' ? '/' : `/?${text}`);
}

/** Hidden fields that keep members of the query in a form. */
export function keptFields(query: PageQuery, names: readonly (keyof PageQuery)[]): string {
  return names
    .flatMap((name) => [query[name] ?? []].flat().map((value) => ({ name, value })))
    .map(({ name, value }) => `<input type="hidden" name="${name}" value="${html(value)}">`)
    .join('');
}

export function downOf({ down }: PageQuery): readonly string[] {
  return [down ?? []].flat().filter((target) => target !== '');
}

/** `12.3 %` of a share. */
export function shareWords(share: number): string {
  if (share === 0) return '0 %';
  return share < 0.001 ? '<0.1 %' : `${(share * 100).toFixed(1)} %`;
}
