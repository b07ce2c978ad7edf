/** `/posts` */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { type Form, readForm } from '../form.ts';
import type { Mention } from '../world/model.ts';
import type { Gateway } from './gateway.ts';
import { AccountOnly } from './queries.ts';

const MENTION_FIELD = /^mentions\[(\d{1,3})\]\[(?:name|profile_id|is_company)\]$/;

export const postRoutes: FastifyPluginAsyncTypebox<Gateway> = async (app, { world, answer }) => {
  app.post('/posts', async (request, reply) => {
    const form = await readForm(request);
    const created = world.createPost({
      accountId: form.one('account_id'),
      text: form.one('text'),
      mentions: mentionsOf(form),
      repost: form.one('repost'),
      externalLink: form.one('external_link'),
      asOrganization: form.one('as_organization'),
      attachments: form.files,
    });
    return answer(request, reply, created);
  });
  const schema = { params: Type.Object({ id: Type.String() }), querystring: AccountOnly };
  app.get('/posts/:id', { schema }, (request, reply) =>
    answer(request, reply, world.getPost(request.params.id, request.query.account_id)),
  );
};

/** Mentions as multipart carries them: `mentions[0][name]`, `mentions[0][profile_id]`, … */
function mentionsOf(form: Form): Mention[] {
  const indexes = form.names.flatMap((name) => {
    const index = MENTION_FIELD.exec(name)?.[1];
    return index === undefined ? [] : [Number(index)];
  });
  return [...new Set(indexes)]
    .sort((left, right) => left - right)
    .map((index) => ({
      name: form.one(`mentions[${index}][name]`) ?? '',
      profileId: form.one(`mentions[${index}][profile_id]`) ?? '',
      isCompany: form.one(`mentions[${index}][is_company]`) === 'true',
    }));
}
