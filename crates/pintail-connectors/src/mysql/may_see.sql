select cast(count(*) as signed) as granted
from information_schema.user_privileges
where privilege_type in ('PROCESS', 'SUPER')
  and grantee = concat(
      '''',
      left(current_user(), char_length(current_user()) - char_length(substring_index(current_user(), '@', -1)) - 1),
      '''@''',
      substring_index(current_user(), '@', -1),
      ''''
  )
