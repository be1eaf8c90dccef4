import { describe, expect, it } from 'vitest';
import { html, jsonBlock, trusted } from '#lib/report/html.js';

describe('html', () => {
  it('escapes strings, also in lists and in attributes', () => {
    const evil = `<b onclick='x'>"&`;
    expect(html`<p title="${evil}">${[evil, 3, undefined]}</p>`.text).toBe(
      '<p title="&lt;b onclick=&#39;x&#39;&gt;&quot;&amp;">&lt;b onclick=&#39;x&#39;&gt;&quot;&amp;3</p>',
    );
  });

  it('leaves markup of its own as it is', () => {
    expect(html`<p>${html`<b>${'<'}</b>`}${trusted('<i></i>')}</p>`.text).toBe('<p><b>&lt;</b><i></i></p>');
  });

  it('does not take an object of the data for markup', () => {
    const forged = { text: '<script>' } as unknown as string;
    expect(html`${forged}`.text).not.toContain('<');
  });

  it('replaces control characters', () => {
    expect(html`${'a\u0000b\u001bc\td'}`.text).toBe('a\ufffdb\ufffdc\td');
  });
});

describe('jsonBlock', () => {
  it('cannot be ended from inside and reads back', () => {
    const value = ['</script><script>alert(1)</script>', '<!--', 'é\u2028'];
    const text = jsonBlock('x', value).text;
    expect(text.match(/<\/?script/g)).toEqual(['<script', '</script']);
    expect(text).not.toContain('<!--');
    expect(JSON.parse(text.replace(/^<script[^>]*>/, '').replace(/<\/script>$/, ''))).toEqual(value);
  });
});
