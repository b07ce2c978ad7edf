/**
 * What a caller may declare about the world: accounts and people.
 *
 * One schema serves the options of `createWorld`, where it gives the types, and the control API,
 * where it checks the body. Names are those of the JSON.
 */
import { type Static, Type } from 'typebox';

const Id = Type.String({ minLength: 1, maxLength: 100 });
const Name = Type.String({ minLength: 1, maxLength: 200 });

export const AccountStatus = Type.Union([
  Type.Literal('OK'),
  Type.Literal('CREDENTIALS'),
  Type.Literal('STOPPED'),
  Type.Literal('ERROR'),
  Type.Literal('PERMISSIONS'),
  Type.Literal('CONNECTING'),
]);
export type AccountStatus = Static<typeof AccountStatus>;

export const AccountDeclaration = Type.Object(
  {
    /**
     * Chosen by the caller or made up. An id that exists already is updated: only the fields given
     * change.
     */
    id: Type.Optional(Id),
    name: Type.Optional(Name),
    /** The account's own LinkedIn id, `ACoAA…`. */
    provider_id: Type.Optional(Type.String({ pattern: '^ACo[A-Za-z0-9_-]{3,96}$' })),
    public_identifier: Type.Optional(Id),
    /** Default `OK`. Anything else refuses writes and freezes what reads can see. */
    status: Type.Optional(AccountStatus),
    /** Default false. Restricted by LinkedIn: writes are refused with `account_restricted`. */
    restricted: Type.Optional(Type.Boolean()),
    /** LinkedIn's own limit of messages in any 24 hours; null (the default) is no limit. */
    messages_per_24h: Type.Optional(
      Type.Union([Type.Integer({ minimum: 0, maximum: 1_000_000 }), Type.Null()]),
    ),
    /** How a message beyond the limit is refused: 422 (the default) or 429. */
    limit_answer: Type.Optional(
      Type.Union([Type.Literal('cannot_resend_yet'), Type.Literal('too_many_requests')]),
    ),
    /** Company pages the account may post for. `id` is the company's digits. */
    organizations: Type.Optional(
      Type.Array(
        Type.Object(
          { id: Type.String({ pattern: '^[0-9]{1,30}$' }), name: Name },
          { additionalProperties: false },
        ),
        { maxItems: 100 },
      ),
    ),
  },
  { additionalProperties: false },
);
export type AccountDeclaration = Static<typeof AccountDeclaration>;

export const Relation = Type.Union([
  Type.Literal('connected'),
  Type.Literal('not_connected'),
  Type.Literal('blocked'),
  Type.Literal('unreachable'),
]);
export type Relation = Static<typeof Relation>;

export const PersonDeclaration = Type.Object(
  {
    provider_id: Type.String({ pattern: '^A(C[ow]|E)[A-Za-z0-9_-]{3,96}$' }),
    name: Type.Optional(Name),
    public_identifier: Type.Optional(Id),
    headline: Type.Optional(Type.String({ maxLength: 300 })),
    /** How every account stands to this person. Default `connected`. */
    relation: Type.Optional(Relation),
    /** Exceptions to `relation`, by account id. */
    relations: Type.Optional(Type.Record(Id, Relation)),
  },
  { additionalProperties: false },
);
export type PersonDeclaration = Static<typeof PersonDeclaration>;

export const IncomingMessage = Type.Object(
  {
    account_id: Id,
    /** The other person of the 1:1 chat. */
    person_id: Type.String({ pattern: '^A(C[ow]|E)[A-Za-z0-9_-]{3,96}$' }),
    text: Type.String({ minLength: 1, maxLength: 8_000 }),
    /**
     * `person` (the default): a reply arrives. `account`: the owner typed it on LinkedIn, not
     * through the API.
     */
    from: Type.Optional(Type.Union([Type.Literal('person'), Type.Literal('account')])),
  },
  { additionalProperties: false },
);
export type IncomingMessage = Static<typeof IncomingMessage>;
