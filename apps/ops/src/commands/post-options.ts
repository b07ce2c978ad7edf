/** `ops posts options`: how a post is published, besides its text. */
import { type Command, InvalidArgumentError } from 'commander';
import type { Action, Cli } from '../cli-context.ts';
import { examples, id, nonEmpty, several } from '../command-line.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { postOptionsText } from '../output/message-text.ts';
import type { PostOptionsPatch } from '../shapes.ts';

type Mention = NonNullable<PostOptionsPatch['mentions']>[number];

interface Given {
  readonly media?: readonly string[] | false;
  readonly mention?: readonly Mention[] | false;
  readonly link?: string | false;
  readonly organization?: string | false;
  readonly literal?: boolean;
}

export function addPostOptionsCommand(posts: Command, action: Action): void {
  posts
    .command('options')
    .description('Show, or set, how a post is published: its media, mentions, link and organization.')
    .argument('<post>', 'its id', id)
    .option('--media <url>', 'a file; may be given up to 20 times', several)
    .option('--no-media', 'no files')
    .option(
      '--mention <name=profile[:company]>',
      'whom {{0}}, {{1}}, … in its text mean, in this order',
      mentions,
    )
    .option('--no-mention', 'no mentions')
    .option('--link <url>', 'a link below the text', nonEmpty)
    .option('--no-link', 'no link')
    .option('--organization <id>', 'publish it in the name of this organization', nonEmpty)
    .option('--no-organization', 'publish it in the account’s own name')
    .option('--literal', 'what looks like a placeholder in its text is meant')
    .option('--no-literal', 'no placeholder is meant')
    .addHelpText(
      'after',
      `${examples(
        'posts options 7b4e…',
        'posts options 7b4e… --media https://cdn.example.com/a.png --no-link',
        'posts options 7b4e… --mention "Ada Moreau=ACoAA…" --mention "Foxglove=123:company"',
      )}\n\nWhat is not named stands.`,
    )
    .action(action(postOptions));
}

/** `name=profile`, or `name=profile:company`. */
function mentions(text: string, earlier: readonly Mention[] | false | undefined): Mention[] {
  const [, name = '', profile_id = '', company] =
    /^(.+)=([^=:]+(?::(?!company$)[^=:]+)*)(:company)?$/.exec(text) ?? [];
  if (name === '') throw new InvalidArgumentError('It must be name=profile, or name=profile:company.');
  return [...(earlier || []), { name, profile_id, ...(company === undefined ? {} : { is_company: true }) }];
}

async function postOptions({ terminal, api }: Cli, postId: string, given: Given): Promise<ExitCode> {
  const patch = patchOf(given);
  const path = { id: postId };
  const options =
    Object.keys(patch).length === 0
      ? (await api.get('/api/posts/{id}', { params: { path } })).options
      : await api.patch('/api/posts/{id}/options', { params: { path }, body: patch });
  terminal.answer(options, () => postOptionsText(options));
  return EXIT.ok;
}

function patchOf({ media, mention, link, organization, literal }: Given): PostOptionsPatch {
  return {
    ...(media === undefined ? {} : { media: media === false ? [] : media.map((url) => ({ url })) }),
    ...(mention === undefined ? {} : { mentions: mention === false ? [] : [...mention] }),
    ...(link === undefined ? {} : { external_link: link === false ? null : link }),
    ...(organization === undefined ? {} : { as_organization: organization === false ? null : organization }),
    ...(literal === undefined ? {} : { is_literal: literal }),
  };
}
