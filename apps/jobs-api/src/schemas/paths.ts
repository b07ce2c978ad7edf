/** Path parameters. */
import { Id } from '@revos/core/operations';
import Type from 'typebox';

export const IdPath = Type.Object({ id: Id });
