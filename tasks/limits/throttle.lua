-- The other side said "too many": pause everybody, and go slower from then on.
-- KEYS  1 the hash of this limit  2 the pause     ARGV  1 the pause in milliseconds  2 per_minute of the catalogue
local STEP, SAME_EVENT, LEAST_PER_MINUTE = 0.9, 1000000, 1

local paused = redis.call('PTTL', KEYS[2])
if paused < tonumber(ARGV[1]) then redis.call('SET', KEYS[2], '1', 'PX', ARGV[1]) end
local has = redis.call('HMGET', KEYS[1], 'stepped_at', 'found', 'override.per_minute', 'slot', 'starts',
  'starts_before', 'began')
-- Calls that were under way at the last step are answered the same; they say nothing new.
if paused > 0 or (has[1] and now - has[1] < SAME_EVENT) then return end
local rate = slower(in_force(has[3], ARGV[2]), tonumber(has[2]))
if not rate then
  -- Without a rate and without a pace there is nothing to go down from.
  if not has[4] then return end
  rate = pace_per_minute(has[4], has[5], has[6], has[7])
  if rate == 0 then return end
end
redis.call('HSET', KEYS[1], 'stepped_at', whole(now), 'raised_at', whole(now),
  'found', string.format('%.4f', math.max(rate * STEP, LEAST_PER_MINUTE)))
