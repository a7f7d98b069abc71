/**
 * `${NAME}` in a value stands for an environment variable, `$${` for the two characters themselves.
 */

/** The environment, passed in: nothing here looks at `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

const REFERENCE = /\$\$\{|\$\{([^}]*)(\}?)/g;

/** The variables that a text names, and what looks like a reference and names none. */
export function referencesIn(text: string): { readonly names: string[]; readonly malformed: string[] } {
  const names: string[] = [];
  const malformed: string[] = [];
  for (const [reference, name, end] of text.matchAll(REFERENCE)) {
    if (name === undefined) continue;
    if (end === '}' && /^[A-Za-z_]\w*$/.test(name)) names.push(name);
    else malformed.push(reference);
  }
  return { names, malformed };
}

/** A path that came from the environment, in full, and what is shown in its place. */
export type ShownPath = { readonly path: string; readonly shown: string };

/** A text for people, in which no such path is. */
export function hidePaths(text: string, paths: readonly ShownPath[]): string {
  let shown = text;
  for (const each of paths) if (each.path !== '/') shown = shown.replaceAll(each.path, () => each.shown);
  return shown;
}

/** The text with every reference replaced. Those to variables that are missing stay as they are and are listed. */
export function expandEnvironment(text: string, env: Environment): { text: string; missing: string[] } {
  const missing: string[] = [];
  const expanded = text.replace(REFERENCE, (reference: string, name?: string) => {
    if (name === undefined) return '${';
    // Object.hasOwn: `constructor` is not a variable.
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    // Beside other text an empty value may be meant; as the whole value the variable was not passed on.
    if (value !== undefined && (value !== '' || reference !== text)) return value;
    missing.push(name);
    return reference;
  });
  return { text: expanded, missing };
}
