import { FormData, Request } from 'undici';
import { describe, expect, it } from 'vitest';
import { encodeTextForm } from '../../../src/unipile/v1/text-form.ts';

function formOf(fields: readonly (readonly [string, string])[]): FormData {
  const form = new FormData();
  for (const [name, value] of fields) form.append(name, value);
  return form;
}

/** What undici itself writes, with our boundary. */
async function writtenByUndici(form: FormData, contentType: string): Promise<string> {
  const request = new Request('http://unipile', { method: 'POST', body: form });
  const [, theirs = ''] = /boundary=(.*)$/.exec(request.headers.get('content-type') ?? '') ?? [];
  const [, ours = ''] = /boundary=(.*)$/.exec(contentType) ?? [];
  return (await request.text()).replaceAll(theirs, ours);
}

describe('encodeTextForm', () => {
  it.each([
    {
      name: 'a message',
      fields: [
        ['account_id', 'u1'],
        ['attendees_ids', 'ACoAA1'],
        ['text', 'Hello'],
      ],
    },
    { name: 'lines', fields: [['text', 'one\ntwo\r\nthree\rfour\n\n']] },
    {
      name: 'quotes and emoji',
      fields: [
        ['text', '"Ada" – 👋🏽 \\ %22'],
        ['a"b\nc', 'x'],
      ],
    },
    {
      name: 'a name twice',
      fields: [
        ['attendees_ids', 'a'],
        ['attendees_ids', 'b'],
      ],
    },
    { name: 'nothing in it', fields: [['text', '']] },
    {
      name: 'what looks like the end of a part',
      fields: [
        ['text', 'a\r\n------revos-form--\r\n'],
        ['b', 'c'],
      ],
    },
    {
      name: 'that again',
      fields: [
        ['text', '----revos-form'],
        ['b', '----revos-form-0'],
      ],
    },
  ] as const)('writes $name as undici does', async ({ fields }) => {
    const encoded = encodeTextForm(formOf(fields));
    if (encoded === null) throw new Error('not written');
    expect(encoded.body).toBe(await writtenByUndici(formOf(fields), encoded.contentType));
    const read = await new Request('http://unipile', {
      method: 'POST',
      body: encoded.body,
      headers: { 'content-type': encoded.contentType },
    }).formData();
    expect([...read].map(([name]) => name)).toEqual(fields.map(([name]) => name.replace('\n', '\r\n')));
    expect([...read].map(([, value]) => value)).toEqual(
      fields.map(([, value]) => value.replace(/\r\n|\r|\n/g, '\r\n')),
    );
  });

  it('leaves a form with a file to undici', () => {
    const form = formOf([['text', 'a']]);
    form.append('attachments', new File(['x'], 'x.png'), 'x.png');
    expect(encodeTextForm(form)).toBeNull();
  });
});
