/**
 * `${NAME}` in a value is replaced by an environment variable; `$${` is replaced by the two characters `${`.
 */

/** The environment variables. Passed in: this module does not read `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

const REFERENCE = /\$\$\{|\$\{([^}]*)(\}?)/g;

/** The variables that a text names, and malformed references. */
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

/** A path from an environment variable, and the text that messages show for it. */
export type ShownPath = { readonly path: string; readonly shown: string };

/** The text with these paths replaced by what may be shown. */
export function hidePaths(text: string, paths: readonly ShownPath[]): string {
  let shown = text;
  for (const each of paths) if (each.path !== '/') shown = shown.replaceAll(each.path, () => each.shown);
  return shown;
}

/** Replaces every reference. References to missing variables stay unchanged and are listed. */
export function expandEnvironment(text: string, env: Environment): { text: string; missing: string[] } {
  const missing: string[] = [];
  const expanded = text.replace(REFERENCE, (reference: string, name?: string) => {
    if (name === undefined) return '${';
    // Object.hasOwn: `constructor` is not a variable.
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    // An empty value may be intended beside other text. As the whole value, the variable was probably not passed on.
    if (value !== undefined && (value !== '' || reference !== text)) return value;
    missing.push(name);
    return reference;
  });
  return { text: expanded, missing };
}
