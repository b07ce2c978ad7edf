/** Files of a message or a post, as reads show them. */
import type { Attachment } from '../world/model.ts';

export function attachmentsWire(ownerId: string, attachments: readonly Attachment[]): unknown[] {
  return attachments.map((attachment, index) => ({
    id: `${ownerId}_${index}`,
    type: 'file',
    file_name: attachment.fileName,
    file_size: attachment.sizeBytes,
    mimetype: attachment.mimeType,
    unavailable: false,
  }));
}
