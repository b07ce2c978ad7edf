/** What the health routes answer. */
import Type from 'typebox';
import { Problem } from './problem.ts';

export const Health = Type.Object({
  status: Type.Literal('ok'),
  version: Type.String(),
  uptime_s: Type.Integer(),
  shutting_down: Type.Boolean(),
});

export const Checks = Type.Array(
  Type.Object({
    name: Type.String(),
    status: Type.Union([Type.Literal('ok'), Type.Literal('failed'), Type.Literal('unknown')]),
    detail: Type.Optional(Type.String()),
  }),
);

export const Ready = Type.Object({ status: Type.Literal('ready'), checks: Checks });

export const NotReady = Type.Object({ ...Problem.properties, checks: Checks });
