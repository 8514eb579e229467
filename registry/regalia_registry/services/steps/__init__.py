"""What two services share: functions over ports and an open transaction; they check no rights and open nothing."""
