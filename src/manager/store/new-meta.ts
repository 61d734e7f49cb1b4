import type { Meta } from '../../api/meta.ts'

/** The `Meta` of an object that is to be created; apply sets version and times. */
export const newMeta = (id: string): Meta => ({
  ID: id,
  Version: { Index: 0 },
  CreatedAt: '',
  UpdatedAt: '',
})
