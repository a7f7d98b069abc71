/**
 * `${NAME}` in a value stands for an environment variable, `$${` for the two characters themselves.
 */

/** The environment, passed in: nothing here looks at `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** `reference` is what the operator wrote; `name` is undefined where that names no variable at all. */
export type EnvironmentProblem = { readonly reference: string; readonly name: string | undefined };

/** The text with every reference replaced. Those that cannot be stay as they are and are listed. */
export function expandEnvironment(text: string, env: Environment): { text: string; problems: EnvironmentProblem[] } {
  const problems: EnvironmentProblem[] = [];
  const expanded = text.replace(/\$\$\{|\$\{([^}]*)(\}?)/g, (reference: string, name?: string, end?: string) => {
    if (name === undefined) return '${';
    if (end !== '}' || !/^[A-Za-z_]\w*$/.test(name)) {
      problems.push({ reference, name: undefined });
      return reference;
    }
    // Object.hasOwn: `constructor` is no variable.
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    // Beside other text nothing may be meant; as the whole value it is one that was not passed on.
    if (value !== undefined && (value !== '' || reference !== text)) return value;
    problems.push({ reference, name });
    return reference;
  });
  return { text: expanded, problems };
}
