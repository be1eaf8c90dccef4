const VOID = new Set(['meta', 'link', 'img', 'br']);

/** An element that a parser sees in a page. */
export interface Tag {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
}

/**
 * Reads a page strictly: every tag closed in order, attributes quoted and named once, no stray `<`. Stricter than HTML,
 * so what passes here no browser reads in another way. Throws at the first fault.
 */
export function readTags(page: string): Tag[] {
  const tags: Tag[] = [];
  const open: string[] = [];
  let at = 0;
  const tag = /<(\/?)([a-z][a-z0-9]*)((?:\s+[a-zA-Z][a-zA-Z0-9-]*(?:="[^"<]*")?)*)\s*(\/?)>/y;
  while (at < page.length) {
    const next = page.indexOf('<', at);
    if (next < 0) break;
    at = next;
    if (page.startsWith('<!doctype html>', at)) {
      at += 15;
      continue;
    }
    tag.lastIndex = at;
    const match = tag.exec(page);
    if (!match) throw new Error(`not a tag: ${page.slice(at, at + 80)}`);
    const [text, closing, name, inside, selfClosing] = match as unknown as [string, string, string, string, string];
    at += text.length;
    if (closing) {
      const last = open.pop();
      if (last !== name) throw new Error(`</${name}> closes <${last}>`);
      continue;
    }
    const attributes = new Map<string, string>();
    for (const [, key, value] of inside.matchAll(/([a-zA-Z][a-zA-Z0-9-]*)(?:="([^"]*)")?/g)) {
      if (attributes.has(key!)) throw new Error(`<${name}> has ${key} twice`);
      attributes.set(key!, value ?? '');
    }
    tags.push({ name, attributes });
    if (VOID.has(name) || selfClosing) continue;
    open.push(name);
    // The content of these is not markup: it ends at the first end tag, whatever stands before.
    if (name === 'script' || name === 'style') at = page.indexOf(`</${name}`, at);
  }
  if (open.length > 0) throw new Error(`left open: ${open.join(' ')}`);
  return tags;
}
