/** A database that was put back to an earlier instant: the shapes of `restore_mark`. */
import Type, { type Static } from 'typebox';
import { Count, givenInstant, Instant, Nullable } from '../shapes/index.ts';

export const RestoreRequest = Type.Object(
  {
    to: givenInstant(
      'The instant of the backup, or an earlier one, ISO 8601 with a zone. What went out between the two would not be found.',
    ),
    dry_run: Type.Optional(
      Type.Boolean({ default: false, description: 'Says what would be looked for, and changes nothing.' }),
    ),
  },
  { additionalProperties: false },
);
export type RestoreRequest = Static<typeof RestoreRequest>;

const Progress = Type.Object({
  looked_for: Type.Integer({ minimum: 0, description: 'It may be on LinkedIn, and is looked for there.' }),
  sent: Type.Integer({ minimum: 0, description: 'It was found there.' }),
  released: Type.Integer({ minimum: 0, description: 'It is certainly not there: it goes out again.' }),
  held: Type.Integer({ minimum: 0, description: 'It cannot be told: a person settles it.' }),
});

export const Restore = Type.Object(
  {
    restored_to: Instant,
    dry_run: Type.Boolean(),
    marked_at: Type.Union([Instant, Type.Null()], {
      description: 'When it was told first; null if it never was.',
    }),
    marked_by: Nullable(Type.String()),
    is_marked: Type.Boolean({
      description:
        'Nothing is left to be marked. Until then the call is repeated: each one marks some accounts.',
    }),
    paused: Type.Boolean({ description: 'All sending is paused.' }),
    suspected: Type.Object(
      { messages: Count, posts: Count },
      { description: 'What could have gone out since, and is not marked yet.' },
    ),
    messages: Progress,
    posts: Progress,
    unknown_before: Type.Integer({
      minimum: 0,
      description: 'Attempts that were unknown already, and whose looks begin anew.',
    }),
    assumed: Type.Integer({
      minimum: 0,
      description:
        'Messages that may have been sent since and are in no row any more: they count against the limits.',
    }),
    last_attempt_at: Type.Union([Instant, Type.Null()], {
      description:
        'The latest call to Unipile that the database knows: it was put back to no earlier instant.',
    }),
    next_read_at: Type.Union([Instant, Type.Null()], { description: 'When LinkedIn is looked at next.' }),
  },
  { $id: 'Restore' },
);
export type Restore = Static<typeof Restore>;
