/** What the shapes of the API are made of. Days are `YYYY-MM-DD`, instants ISO 8601. */
import Type, { type Static, type TSchema } from 'typebox';

export const Nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);

export const Id = Type.String({ format: 'uuid' });

export const Instant = Type.String({ format: 'date-time' });

export const Day = Type.String({ format: 'date' });

/**
 * An instant as a caller gives it, as far as JavaScript and Postgres both read it: Postgres knows
 * no year 0 and no offset of 16 hours, JavaScript no leap second.
 */
export const givenInstant = (description: string) =>
  Type.String({
    format: 'date-time',
    pattern: '^[12]\\d{3}-.{11}:[0-5]\\d(\\.\\d{1,9})?([Zz]|[+-](0\\d|1[0-5]):[0-5]\\d)$',
    description,
  });

export const GivenInstant = givenInstant('ISO 8601 with a zone, such as 2026-03-01T09:30:00Z.');

/** A day as a caller gives it. Postgres knows no year 0. */
export const givenDay = (more: { readonly description?: string } = {}) =>
  Type.String({ format: 'date', pattern: '^[12]\\d{3}-', ...more });

export const GivenDay = givenDay();

/** The end of a pause. */
export const PausedUntil = Type.Union([Instant, Type.Literal('infinity'), Type.Null()], {
  description: 'Null: not paused. `infinity`: until somebody resumes it.',
});

export const Count = Type.Integer({ minimum: 0 });

/** Several values of one filter: any of them matches. */
export const AnyOf = <Schema extends TSchema>(schema: Schema) =>
  Type.Array(schema, { minItems: 1, maxItems: 100, description: 'Any of these.' });

/** Rows on a page unless its reader says otherwise. */
export const LIMIT_DEFAULT = 50;

/** What every list takes besides its filter. */
export const Paging = Type.Object({
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 200, default: LIMIT_DEFAULT, description: 'Rows on a page.' }),
  ),
  cursor: Type.Optional(
    Type.String({ minLength: 1, maxLength: 500, description: 'The `next_cursor` of the page before.' }),
  ),
});
export type Paging = Static<typeof Paging>;

/** What was tried of one message or post. */
export const attemptsOf = <Attempt extends TSchema>(attempt: Attempt) => ({
  attempts: Type.Unsafe<readonly Static<Attempt>[]>(
    Type.Array(attempt, { maxItems: 100, description: 'The latest 100, oldest first.' }),
  ),
  attempts_total: Type.Integer({ minimum: 0, description: 'How many there are.' }),
});

/** A page of a list. */
export const Page = <Item extends TSchema>(item: Item) =>
  Type.Object({
    items: Type.Unsafe<readonly Static<Item>[]>(
      Type.Array(item, { description: 'As many as `limit` says, or fewer: a page ends early at 1 MB.' }),
    ),
    next_cursor: Type.Union([Type.String(), Type.Null()], { description: 'Null on the last page.' }),
  });

export interface PageOf<Item> {
  readonly items: readonly Item[];
  /** Null on the last page. */
  readonly next_cursor: string | null;
}
