/** What the routes about messages take and answer. */
import { MESSAGES_MAX, Message, MessageFilter, NewMessage } from '@revos/core/admin';
import { Page } from '@revos/core/shapes';
import Type from 'typebox';
import { listQuery } from './lists.ts';

export const EnqueueBody = Type.Object(
  {
    messages: Type.Array(NewMessage, { minItems: 1, maxItems: MESSAGES_MAX, description: 'All or none.' }),
  },
  { additionalProperties: false },
);

/** What of that body is judged before the database: it names all that is wrong with all rows at once. */
export const EnqueueEnvelope = Type.Object(
  { messages: Type.Array(Type.Unknown(), { minItems: 1, maxItems: MESSAGES_MAX }) },
  { additionalProperties: false },
);

export const MessageQuery = listQuery(MessageFilter.properties);

export const MessageList = Page(Message);
