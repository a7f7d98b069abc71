/**
 * Changes an element into another one of the same kind, and touches only what differs: the focus, the text that a
 * person has selected or typed, and open details stay.
 */

/** `next` may be used up. */
export function morph(old: Element, next: Element): void {
  morphAttributes(old, next);
  const wanted = [...next.childNodes];
  let at: ChildNode | null = old.firstChild;
  for (const child of wanted) {
    const match = at === null ? undefined : findSame(at, child);
    if (match === undefined) {
      old.insertBefore(child, at);
      continue;
    }
    while (at !== null && at !== match) {
      const gone: ChildNode = at;
      at = at.nextSibling;
      gone.remove();
    }
    at = match.nextSibling;
    if (match instanceof Element && child instanceof Element) {
      // Text that the script wrote.
      if (!child.hasAttribute('data-keep')) morph(match, child);
    } else if (match.nodeValue !== child.nodeValue) match.nodeValue = child.nodeValue;
  }
  while (at !== null) {
    const gone: ChildNode = at;
    at = at.nextSibling;
    gone.remove();
  }
}

/** How many siblings are looked at: an element that was inserted or removed does not change all that follow. */
const LOOK_AHEAD = 4;

function findSame(from: ChildNode, child: ChildNode): ChildNode | undefined {
  let candidate: ChildNode | null = from;
  // White space looks alike everywhere: to skip elements for it would replace them.
  const most = child instanceof Element ? LOOK_AHEAD : 1;
  for (let step = 0; candidate !== null && step < most; step++) {
    if (isSame(candidate, child)) return candidate;
    candidate = candidate.nextSibling;
  }
  return undefined;
}

function isSame(a: ChildNode, b: ChildNode): boolean {
  if (a.nodeType !== b.nodeType || a.nodeName !== b.nodeName) return false;
  if (!(a instanceof Element && b instanceof Element)) return true;
  return a.id === b.id && a.getAttribute('data-key') === b.getAttribute('data-key');
}

function morphAttributes(old: Element, next: Element): void {
  // A person opened or closed it.
  const kept = old instanceof HTMLDetailsElement ? 'open' : undefined;
  for (const { name } of [...old.attributes]) {
    if (!next.hasAttribute(name) && name !== kept) old.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  if (old instanceof HTMLInputElement && next instanceof HTMLInputElement && old.type === 'checkbox') {
    old.checked = next.hasAttribute('checked');
  }
}
