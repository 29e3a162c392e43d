-- What every script begins with. All times are microseconds of Redis's own clock.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local SLOT = 10000000

-- Redis would write a large number with fourteen digits only.
local function whole(number) return string.format('%.0f', number) end

-- An operator's change goes before the catalogue; 'none' and '' mean no limit.
local function in_force(override, configured)
  if override == 'none' then return nil end
  return tonumber(override or configured)
end

-- The rate that new calls go by: what is allowed, or what was found to be enforced below that.
local function slower(per_minute, found)
  if per_minute and found then return math.min(per_minute, found) end
  return per_minute or found
end

-- Starts a minute, measured over this slot of ten seconds and the one before, or since a pause in the work.
local function pace_per_minute(slot, starts, starts_before, began)
  local current = math.floor(now / SLOT)
  slot, starts, starts_before = tonumber(slot), tonumber(starts), tonumber(starts_before)
  if slot == current then starts = starts + starts_before
  elseif slot ~= current - 1 then return 0 end
  local since = math.max(tonumber(began), (current - 1) * SLOT)
  return starts * 60000000 / math.max(now - since, 1000000)
end

-- The number of the provider's day, and the microseconds until its midnight.
local function day(utc_offset_seconds)
  local seconds = clock[1] + utc_offset_seconds
  return math.floor(seconds / 86400), (86400 - seconds % 86400) * 1000000
end
